package api_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// silent is a notifier of which no receiver takes anything.
type silent struct{ asked *storev1.Notification }

func (n *silent) Status(string) *yardarmv1.NotificationStatus {
	return &yardarmv1.NotificationStatus{Failures: 3, Error: "nobody is there", Pending: 2}
}

func (n *silent) Test(_ context.Context, row *storev1.Notification) (string, error) {
	n.asked = row
	return "", errors.New("nobody is there")
}

func notification(name string, spec *yardarmv1.NotificationSpec) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_Notification{Notification: &yardarmv1.Notification{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}}
}

// TestNotifications makes, changes, lists and deletes one. Its secrets go in, and never out again.
func TestNotifications(t *testing.T) {
	notifier := &silent{}
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Notifier = notifier })
	const secret, path = "a-secret-for-signing", "/services/T0/B0/of-the-receiver"
	spec := &yardarmv1.NotificationSpec{SecretUrl: "https://hooks.example.com:8443" + path, Secret: secret, Format: "slack", Bundles: []string{"web"}, Severity: "warning", Topics: []string{"failure"}}
	outcome := func(spec *yardarmv1.NotificationSpec) string {
		t.Helper()
		resp := must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{notification("ops", spec)}}))
		if text := resp.String(); strings.Contains(text, secret) || strings.Contains(text, path) {
			t.Errorf("a secret is answered: %s", text)
		}
		return resp.Results[0].Outcome
	}
	for _, step := range []struct {
		why, want string
		change    func(*yardarmv1.NotificationSpec)
	}{
		{"it is new", "created", func(*yardarmv1.NotificationSpec) {}},
		{"it is the same, with its secrets", "unchanged", func(*yardarmv1.NotificationSpec) {}},
		{"it is the same, without them", "unchanged", func(s *yardarmv1.NotificationSpec) { s.Secret, s.SecretUrl = "", "" }},
		{"its topics differ", "configured", func(s *yardarmv1.NotificationSpec) { s.Secret, s.SecretUrl, s.Topics = "", "", nil }},
		{"its secret differs", "configured", func(s *yardarmv1.NotificationSpec) { s.Secret, s.Topics = secret+"2", nil }},
	} {
		next := proto.CloneOf(spec)
		step.change(next)
		if got := outcome(next); got != step.want {
			t.Errorf("%s: %s, want %s", step.why, got, step.want)
		}
	}
	n := must[*yardarmv1.Notification](t)(h.GetNotification(t.Context(), &hubv1.GetNotificationRequest{Name: "ops"}))
	if n.Kind != "Notification" || n.Metadata.Generation != 3 || n.Status.Host != "hooks.example.com:8443" || !n.Status.Signed || n.Status.Error != "nobody is there" || n.Status.Pending != 2 {
		t.Errorf("got %v", n)
	}
	list := must[*hubv1.ListNotificationsResponse](t)(h.ListNotifications(t.Context(), &hubv1.ListNotificationsRequest{Filter: "host=hooks.example.com:8443,format=slack"}))
	if len(list.Notifications) != 1 || strings.Contains(list.String()+n.String(), secret) || strings.Contains(list.String()+n.String(), path) {
		t.Errorf("got %v and %v", list, n)
	}
	// Neither lies on the disk as it is.
	if raw := onDisk(t, h); strings.Contains(raw, secret) || strings.Contains(raw, path) || !strings.Contains(raw, "hooks.example.com") {
		t.Error("the disk shows a secret, or not the notification")
	}
	_, err := h.TestNotification(t.Context(), &hubv1.TestNotificationRequest{Name: "ops"})
	refused(t, err, codes.FailedPrecondition, "", "nobody is there")
	if notifier.asked.GetNotification().GetMetadata().GetUid() != n.Metadata.Uid {
		t.Errorf("tried %v", notifier.asked)
	}
	// A URL that is shown takes the place of one that is not.
	if got := outcome(&yardarmv1.NotificationSpec{Url: "https://ops.example.com/yardarm"}); got != "configured" || h.Store.Read().Notification("ops").SecretUrl != nil {
		t.Errorf("%s, with the other URL still there", got)
	}
	_, err = h.DeleteNotification(t.Context(), &hubv1.DeleteNotificationRequest{Name: "ops", ResourceVersion: n.Metadata.ResourceVersion})
	refused(t, err, codes.Aborted, "", "has changed since")
	must[any](t)(h.DeleteNotification(t.Context(), &hubv1.DeleteNotificationRequest{Name: "ops"}))
	_, err = h.GetNotification(t.Context(), &hubv1.GetNotificationRequest{Name: "ops"})
	refused(t, err, codes.NotFound, "", "yardarm get notifications")
}

// TestInvalidNotifications sends what cannot be; no answer repeats a secret.
func TestInvalidNotifications(t *testing.T) {
	h := apitest.Start(t)
	for _, test := range []struct {
		spec        *yardarmv1.NotificationSpec
		field, says string
	}{
		{nil, "spec", "is missing"},
		{&yardarmv1.NotificationSpec{}, "spec.url", "is missing"},
		{&yardarmv1.NotificationSpec{Url: "https://a.example", SecretUrl: "https://b.example"}, "spec.secretUrl", "beside url"},
		{&yardarmv1.NotificationSpec{SecretUrl: "ftp://x.example/hidden"}, "spec.secretUrl", "no http or https URL"},
		{&yardarmv1.NotificationSpec{Url: "https:///hidden"}, "spec.url", "with a host"},
		{&yardarmv1.NotificationSpec{Url: "https://ann:hidden@x.example"}, "spec.url", "a user or a password"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example/" + strings.Repeat("a", 2048)}, "spec.url", "at most 2048"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Secret: "hidden"}, "spec.secret", "between 16 and 1024"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Ca: "no"}, "spec.ca", "no certificate"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Format: "xml"}, "spec.format", "json, slack"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Severity: "loud"}, "spec.severity", "info, warning, error"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Topics: []string{"failure", "weather"}}, "spec.topics[1]", "approval, convergence"},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", Bundles: []string{"A b"}}, "spec.bundles[0]", ""},
		{&yardarmv1.NotificationSpec{Url: "https://x.example", ClusterGroups: make([]string, 257)}, "spec.clusterGroups", "at most 256"},
	} {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{notification("ops", test.spec)}})
		refused(t, err, codes.InvalidArgument, test.field, test.says)
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the answer repeats it: %v", test.field, err)
		}
	}
}
