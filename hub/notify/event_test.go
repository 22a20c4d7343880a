package notify

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestWants(t *testing.T) {
	e := &Event{Topic: "failure", Severity: "error", Bundle: "web", Groups: []string{"prod", "eu"}}
	for _, test := range []struct {
		spec *yardarmv1.NotificationSpec
		want bool
	}{
		{&yardarmv1.NotificationSpec{}, true},
		{&yardarmv1.NotificationSpec{Topics: []string{"rollback", "failure"}}, true},
		{&yardarmv1.NotificationSpec{Topics: []string{"rollback"}}, false},
		{&yardarmv1.NotificationSpec{Bundles: []string{"web"}}, true},
		{&yardarmv1.NotificationSpec{Bundles: []string{"db"}}, false},
		{&yardarmv1.NotificationSpec{ClusterGroups: []string{"us", "eu"}}, true},
		{&yardarmv1.NotificationSpec{ClusterGroups: []string{"us"}}, false},
		{&yardarmv1.NotificationSpec{Severity: "error"}, true},
		{&yardarmv1.NotificationSpec{Severity: "warning", Bundles: []string{"web"}, ClusterGroups: []string{"prod"}, Topics: []string{"failure"}}, true},
	} {
		if got := wants(&storev1.Notification{Notification: &yardarmv1.Notification{Spec: test.spec}}, e); got != test.want {
			t.Errorf("%v: got %v", test.spec, got)
		}
	}
	info := &Event{Topic: "convergence", Severity: "info"}
	if wants(&storev1.Notification{Notification: &yardarmv1.Notification{Spec: &yardarmv1.NotificationSpec{Severity: "warning"}}}, info) {
		t.Error("it is told less than it asks for")
	}
	for _, topic := range Topics {
		if severities[topic] == "" {
			t.Errorf("topic %s has no severity", topic)
		}
	}
}

// TestRolloutEvents tells which events each state of a rollout stands for, and which of them are the same as in another.
func TestRolloutEvents(t *testing.T) {
	w := newWorld(t, nil)
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(made.Add(time.Duration(minutes) * time.Minute))
	}
	row := func(phase rollout.Phase, change func(*storev1.Rollout)) *storev1.Rollout {
		r := &storev1.Rollout{BundleUid: "uid-web", Revision: 3, Phase: uint32(phase), Begun: at(1), Since: at(2), Stages: []*storev1.RolloutStage{{Name: "test"}, {Name: "rest"}}}
		if change != nil {
			change(r)
		}
		return r
	}
	w.rollout("web", 1, rollout.Completed, "", 0)
	ids := map[string]string{}
	for _, test := range []struct {
		name string
		row  *storev1.Rollout
		want string
	}{
		{"on its way", row(rollout.Progressing, nil), ""},
		{"an approval", row(rollout.Progressing, func(r *storev1.Rollout) { r.Wait = uint32(rollout.WaitApproval) }), "approval web: revision 3 awaits an approval of stage test"},
		{"a confirmation", row(rollout.Progressing, func(r *storev1.Rollout) { r.Wait, r.Unconfirmed = uint32(rollout.WaitConfirmation), true }), "approval web: revision 3 awaits a confirmation"},
		{"another approval", row(rollout.Progressing, func(r *storev1.Rollout) { r.Wait, r.At = uint32(rollout.WaitApproval), 1 }), "approval web: revision 3 awaits an approval of stage rest"},
		{"paused by somebody", row(rollout.Paused, nil), ""},
		{"stopped", row(rollout.Paused, func(r *storev1.Rollout) { r.Failure = "x" }), "failure web: revision 3 has failed, and its rollout stops"},
		{"stopped again", row(rollout.Paused, func(r *storev1.Rollout) { r.Failure, r.Since = "x", at(9) }), "failure web: revision 3 has failed, and its rollout stops"},
		{"going back", row(rollout.RollingBack, nil), "failure web: revision 3 has failed, and goes back"},
		{"gone back", row(rollout.RolledBack, func(r *storev1.Rollout) { r.Since = at(5) }), "failure web: revision 3 has failed, and goes back; rollback web: revision 3 is rolled back"},
		{"to be tried again", row(rollout.RolledBack, func(r *storev1.Rollout) { r.Retry = true }), ""},
		{"gone back again", row(rollout.RolledBack, func(r *storev1.Rollout) { r.Begun = at(8) }), "failure web: revision 3 has failed, and goes back; rollback web: revision 3 is rolled back"},
		{"done", row(rollout.Completed, nil), "convergence web: revision 3 is where it should be"},
	} {
		w.update(func(tx *store.Tx) error { return tx.PutRollout(test.row) })
		var got []string
		for _, e := range rolloutEvents(w.store.Read(), "uid-web") {
			got = append(got, e.Topic+" "+e.Summary)
			ids[test.name+" "+e.Topic] = e.ID
		}
		if strings.Join(got, "; ") != test.want {
			t.Errorf("%s: got %s, want %s", test.name, strings.Join(got, "; "), test.want)
		}
	}
	if ids["going back failure"] != ids["gone back failure"] {
		t.Error("a failure is another one once its rollout has gone back")
	}
	for _, pair := range [][2]string{{"an approval approval", "another approval approval"}, {"stopped failure", "stopped again failure"},
		{"gone back rollback", "gone back again rollback"}, {"gone back failure", "gone back rollback"}} {
		if ids[pair[0]] == ids[pair[1]] || ids[pair[0]] == "" {
			t.Errorf("%v are the same", pair)
		}
	}
}

func TestSlackText(t *testing.T) {
	e := &Event{Severity: "error", Summary: "web: revision 3 has failed", Message: "<!channel> <https://evil.example|here> & more"}
	want := ":red_circle: web: revision 3 has failed\n&lt;!channel&gt; &lt;https://evil.example|here&gt; &amp; more"
	if got := slackText(e); got != want {
		t.Errorf("got %s", got)
	}
}
