package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// waitConnected waits until a cluster's spoke is there.
func (a *app) waitConnected(ctx context.Context, name string, timeout time.Duration) error {
	l := a.newLine()
	cluster, err := a.waitCluster(ctx, name, l, func(c *yardarmv1.Cluster) bool {
		if c.GetStatus().GetPresence() == yardarmv1.PresenceConnected {
			return true
		}
		l.set("cluster/%s: %s", name, a.absence(c))
		return false
	})
	l.clear()
	switch {
	case errors.Is(err, errTimeUp):
		return timedOut("cluster/%s is not connected after %s: %s", name, timeout, a.absence(cluster))
	case err != nil:
		return err
	case cluster == nil:
		return failed("cluster/%s has been deleted", name)
	}
	a.print("cluster/%s is connected", name)
	return nil
}

// waitCluster watches a cluster until it is as wanted, and returns its last state; nil once it is deleted.
func (a *app) waitCluster(ctx context.Context, name string, l *line, wanted func(*yardarmv1.Cluster) bool) (*yardarmv1.Cluster, error) {
	hub, err := a.connect()
	if err != nil {
		return nil, err
	}
	// Without this, a cluster that is not there and one that has just been deleted would look alike.
	last, err := hub.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name})
	if err != nil {
		return nil, meant(ctx, hub, resource.Cluster, name, timeUp(ctx, err))
	}
	for change, err := range hub.Watch(ctx, &hubv1.WatchRequest{Kind: yardarmv1.KindCluster, Name: name}, a.following(l.say)) {
		if err != nil {
			return last, timeUp(ctx, err)
		}
		cluster, ok := change.Object.(*yardarmv1.Cluster)
		switch {
		case !ok:
			continue
		case change.Type == client.Deleted:
			return nil, nil
		}
		last = cluster
		if wanted(cluster) {
			return last, nil
		}
	}
	return last, timeUp(ctx, context.Cause(ctx))
}

// timeUp turns whatever a call says when its context has run out of time into errTimeUp.
func timeUp(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errTimeUp) {
		return errTimeUp
	}
	return err
}

// absence says why a cluster is not connected.
func (a *app) absence(c *yardarmv1.Cluster) string {
	st := c.GetStatus()
	switch {
	case st.GetPhase() == yardarmv1.ClusterBanned:
		return "it is banned: " + c.GetSpec().GetBan().GetReason()
	case st.GetPhase() == yardarmv1.ClusterEnrolling:
		return "its spoke has not enrolled yet"
	case st.GetPresence() == yardarmv1.PresenceNeverConnected:
		return "its spoke has enrolled and never connected"
	case c == nil:
		return "nothing is known of it"
	}
	return fmt.Sprintf("it is %s", a.presence(c))
}

// waitDeleted waits until a resource is gone.
func (a *app) waitDeleted(ctx context.Context, t resource.Type, name string, timeout time.Duration) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	var last client.Object
	there := false
	l := a.newLine()
	defer l.clear()
	for change, err := range hub.Watch(ctx, &hubv1.WatchRequest{Kind: t.Kind, Name: name}, a.following(l.say)) {
		switch {
		case err == nil:
		case errors.Is(timeUp(ctx, err), errTimeUp):
			return timedOut("%s/%s is still there after %s%s", t.Name, name, timeout, a.whyThere(last))
		case !isCode(err, codes.NotFound):
			return err
		}
		switch change.Type {
		case client.Added, client.Modified:
			last, there = change.Object, true
			l.set("%s/%s is still there%s", t.Name, name, a.whyThere(last))
		case client.Deleted:
			there = false
		case client.Synced:
			// Whether it was there is known now.
		}
		if !there {
			l.clear()
			a.print("%s/%s is deleted", t.Name, name)
			return nil
		}
	}
	return ctx.Err()
}

// whyThere says why a deleted cluster is still there.
func (a *app) whyThere(object client.Object) string {
	cluster, ok := object.(*yardarmv1.Cluster)
	switch {
	case !ok:
		return ""
	case cluster.GetStatus().GetPhase() != yardarmv1.ClusterDeleting:
		return "; nobody has deleted it: 'yardarm delete cluster " + cluster.GetMetadata().GetName() + "'"
	case cluster.GetStatus().GetPresence() != yardarmv1.PresenceConnected:
		return fmt.Sprintf("; it waits for its spoke, which is %s, to remove %s", a.presence(cluster), plural(cluster.GetStatus().GetBundles().GetTotal(), "bundle"))
	}
	return "; its spoke has still to remove " + plural(cluster.GetStatus().GetBundles().GetTotal(), "bundle")
}
