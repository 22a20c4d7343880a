package reconcile

import (
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// While a new assignment waits, what the cluster holds is kept up by the policy that it was delivered by, also after a restart: the new one's says
// nothing about it yet.
func TestWhatIsHeldGoesByItsOwnPolicy(t *testing.T) {
	e := newEnv(t)
	account, user := e.deployer("deployer")
	ignoring := &yardarmv1.DeliveryPolicy{Ignore: []*yardarmv1.IgnoreRule{
		{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap"}, Paths: []string{"/data/key"}},
	}}
	waiting := func(p *yardarmv1.DeliveryPolicy) *yardarmv1.DeliveryPolicy {
		p.DependsOn = needs("", "nowhere").DependsOn
		return p
	}
	for _, c := range []struct {
		bundle      string
		first, next *yardarmv1.DeliveryPolicy
		left        bool // an edit of m0's key is left as it is
	}{
		{"corrected", &yardarmv1.DeliveryPolicy{}, waiting(&yardarmv1.DeliveryPolicy{Drift: yardarmv1.DriftIgnore}), false},
		{"watched", &yardarmv1.DeliveryPolicy{}, waiting(&yardarmv1.DeliveryPolicy{Ignore: ignoring.Ignore}), false},
		{"ignored", ignoring, waiting(&yardarmv1.DeliveryPolicy{}), true},
		{"deployed", &yardarmv1.DeliveryPolicy{ServiceAccount: account}, waiting(&yardarmv1.DeliveryPolicy{ServiceAccount: "default/nobody"}), false},
	} {
		t.Run(c.bundle, func(t *testing.T) {
			sub := *e
			sub.t, sub.state = t, newFakeState()
			s := sub.start()
			objects := func(value string) []string {
				return []string{keyAnd(c.bundle+"0", value, "one"), keyAnd(c.bundle+"1", value, "one")}
			}
			sub.assign(assignment{bundle: c.bundle, revision: 1, objects: objects("one"), delivery: c.first})
			s.awaitPhase(c.bundle, yardarmv1.PhaseReady)
			sub.assign(assignment{bundle: c.bundle, revision: 2, objects: objects("two"), delivery: c.next})
			s.awaitPhase(c.bundle, yardarmv1.PhasePending)
			for _, when := range []string{"at once", "after a restart"} {
				s.writes.take()
				sub.edit(c.bundle+"0", `{"data":{"key":"edited"}}`)
				sub.edit(c.bundle+"1", `{"data":{"other":"edited"}}`)
				sub.until("what is not ignored is repaired "+when, func() bool {
					return otherOf(sub.get(c.bundle+"1")) == "one" && (c.left || value(sub.get(c.bundle+"0")) == "one")
				})
				if got := value(sub.get(c.bundle + "0")); c.left && got != "edited" {
					t.Errorf("%s, the ignored field is %s", when, got)
				}
				if c.first.ServiceAccount != "" {
					s.writtenAs(user)
				}
				s.stop()
				s = sub.start()
				s.awaitPhase(c.bundle, yardarmv1.PhasePending)
			}
		})
	}
}
