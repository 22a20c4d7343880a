package reconcile

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A bundle that is no more assigned ends its pass before it is forgotten. Regression: all others' assignments waited for that.
func TestEndingBundleMakesNobodyWait(t *testing.T) {
	e := newEnv(t)
	asked, answered := make(chan struct{}), make(chan struct{})
	ask, answer := sync.OnceFunc(func() { close(asked) }), sync.OnceFunc(func() { close(answered) })
	e.config = rest.CopyConfig(e.config)
	e.config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/slow") {
				ask()
				<-answered
			}
			return next.RoundTrip(r)
		})
	})
	s := e.start()
	t.Cleanup(answer) // before the spoke is stopped
	slow := assignment{bundle: "slow", revision: 1, objects: []string{configMap("slow", "one")}}
	e.assign(slow)
	<-asked
	e.state.change(func() { delete(e.state.entries, "slow") })
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)

	// It is assigned again meanwhile: two loops of one bundle would fight over its inventory.
	slow.revision, slow.objects = 2, []string{configMap("slow", "two")}
	e.assign(slow)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "two")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if r := s.report("slow"); r != nil && r.Revision == 2 {
		t.Errorf("report: %v", r)
	}
	answer()
	s.awaitPhase("slow", yardarmv1.PhaseReady)
	if got := value(e.get("slow")); got != "two" {
		t.Errorf("slow is %s", got)
	}

	// One that is gone for good is told of no more.
	e.state.change(func() { delete(e.state.entries, "slow") })
	e.until("it is forgotten", func() bool { return s.report("slow") == nil })
}
