package api

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/notify"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxNotifications is how many there may be: each has a goroutine, a connection, and a row for each bundle.
const maxNotifications = 100

// Notifier tells the receivers of notifications.
type Notifier interface {
	// Status tells how the receiver does, by the notification's uid.
	Status(uid string) *yardarmv1.NotificationStatus
	// Test sends the receiver one event, and answers the event's id.
	Test(ctx context.Context, row *storev1.Notification) (id string, err error)
}

// ListNotifications implements FleetService.
func (s *Server) ListNotifications(ctx context.Context, req *hubv1.ListNotificationsRequest) (*hubv1.ListNotificationsResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "notifications"}
	p, err := paginate(list, notificationFields, func(add func(*storev1.Notification)) {
		for n := range v.Notifications() {
			add(n)
		}
	}, s.notificationView)
	if err != nil {
		return nil, err
	}
	return &hubv1.ListNotificationsResponse{Notifications: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetNotification implements FleetService.
func (s *Server) GetNotification(ctx context.Context, req *hubv1.GetNotificationRequest) (*yardarmv1.Notification, error) {
	row := s.view(ctx).Notification(req.GetName())
	if row == nil {
		return nil, notificationNotFound(req.GetName())
	}
	return s.notificationView(row), nil
}

// DeleteNotification implements FleetService.
func (s *Server) DeleteNotification(ctx context.Context, req *hubv1.DeleteNotificationRequest) (*hubv1.DeleteNotificationResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteNotificationResponse, error) {
		row := c.Notification(req.GetName())
		if row == nil {
			return nil, notificationNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindNotification, row.Notification.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		if err := c.DeleteNotification(req.GetName()); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteNotificationResponse{}), c.event(&yardarmv1.Event{Reason: "NotificationDeleted", Message: fmt.Sprintf("notification %q deleted", req.GetName())})
	})
}

// TestNotification implements FleetService.
func (s *Server) TestNotification(ctx context.Context, req *hubv1.TestNotificationRequest) (*hubv1.TestNotificationResponse, error) {
	row := s.view(ctx).Notification(req.GetName())
	if row == nil {
		return nil, notificationNotFound(req.GetName())
	}
	if s.cfg.Notifier == nil {
		return nil, precondition(reasonState, yardarmv1.KindNotification, req.GetName(), "this hub tells nobody of anything")
	}
	id, err := s.cfg.Notifier.Test(ctx, row)
	if err != nil {
		return nil, refuse(codes.FailedPrecondition, reasonReceiver, map[string]string{"kind": yardarmv1.KindNotification, "name": req.GetName()},
			fmt.Sprintf("notification %q was not delivered: %v", req.GetName(), err))
	}
	return &hubv1.TestNotificationResponse{Id: id}, nil
}

// notificationView is one with how its receiver does; secrets are not in its row.
func (s *Server) notificationView(row *storev1.Notification) *yardarmv1.Notification {
	out := proto.CloneOf(row.Notification)
	out.ApiVersion, out.Kind, out.Status = yardarmv1.APIVersion, yardarmv1.KindNotification, &yardarmv1.NotificationStatus{}
	if s.cfg.Notifier != nil {
		out.Status = s.cfg.Notifier.Status(out.Metadata.Uid)
	}
	out.Status.Host, out.Status.Signed = row.Host, row.Secret != nil
	return out
}

// sealed are the secrets of a notification that is applied; nil where there is none.
type sealed struct{ secret, url *storev1.SealedSecret }

// seal seals the secrets of a notification before its transaction, which can make no nonces.
func (s *Server) seal(n *yardarmv1.Notification) (out sealed, err error) {
	name := n.GetMetadata().GetName()
	if secret := n.GetSpec().GetSecret(); secret != "" {
		if out.secret, err = s.cfg.Sealer.Seal(notify.SecretName(name), []byte(secret)); err != nil {
			return out, err
		}
	}
	if to := n.GetSpec().GetSecretUrl(); to != "" {
		out.url, err = s.cfg.Sealer.Seal(notify.SecretURLName(name), []byte(to))
	}
	return out, err
}

// same answers the secret that is there, if it is the one that is given again, so that applying the same changes nothing; next is nil where none is given.
func (s *Server) same(name, given string, current, next *storev1.SealedSecret) *storev1.SealedSecret {
	if next == nil {
		return current
	}
	if current != nil {
		if opened, err := s.cfg.Sealer.Open(name, current); err == nil && bytes.Equal(opened, []byte(given)) {
			return current
		}
	}
	return next
}

// notification applies a notification. Secrets that are left out stay.
func (a *application) notification(c *change, i int, in *yardarmv1.Notification) error {
	name := in.Metadata.Name
	current := c.Notification(name)
	if err := checkMeta(yardarmv1.KindNotification, current.GetNotification().GetMetadata(), in.Metadata); err != nil {
		return err
	}
	next := replacing(current, &storev1.Notification{})
	if next.Notification == nil {
		next.Notification = &yardarmv1.Notification{}
	}
	spec := proto.CloneOf(in.Spec)
	next.Secret = a.server.same(notify.SecretName(name), spec.Secret, current.GetSecret(), a.sealed[i].secret)
	next.SecretUrl = a.server.same(notify.SecretURLName(name), spec.SecretUrl, current.GetSecretUrl(), a.sealed[i].url)
	switch {
	case spec.Url != "":
		next.SecretUrl, next.Host = nil, hostOf(spec.Url)
	case spec.SecretUrl != "":
		next.Host = hostOf(spec.SecretUrl)
	case current.GetSecretUrl() == nil:
		a.checker(i).add("spec.url", "is missing; give it, or secretUrl")
		return nil
	}
	spec.Secret, spec.SecretUrl = "", ""
	next.Notification.Spec = spec
	sameSpec := current != nil && proto.Equal(current.Notification.Spec, spec) && current.Secret == next.Secret && current.SecretUrl == next.SecretUrl
	var same bool
	next.Notification.Metadata, same = c.meta(current.GetNotification().GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if there := len(slices.Collect(c.Notifications())); current == nil && there >= maxNotifications {
		return precondition(reasonState, yardarmv1.KindNotification, name, fmt.Sprintf("there are %d notifications already, and no more than %d may be; delete one first", there, maxNotifications))
	}
	if err := c.PutNotification(next); err != nil {
		return err
	}
	return c.event(&yardarmv1.Event{Reason: "NotificationConfigured", Message: fmt.Sprintf("notification %q %s", name, a.outcomes[i])})
}

// hostOf is the host of a URL that was checked, with its port if there is one.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func notificationNotFound(name string) error {
	return notFound(yardarmv1.KindNotification, clip(name), "`yardarm get notifications` lists them")
}
