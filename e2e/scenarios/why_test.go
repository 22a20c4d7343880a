package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// why waits until `yardarm why` gives this reason, and an answer with the word.
func (w *world) why(cluster, bundle, reason, word string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s in %s is %s", bundle, cluster, reason), func() error {
		r := w.cli.Run(w.ctx, "why", cluster, bundle, "-o", "json")
		var x struct {
			Reason, Answer, Remedy string
			Steps                  []struct {
				Name string
				Done bool
			}
		}
		if err := json.Unmarshal([]byte(r.Stdout), &x); err != nil {
			return fmt.Errorf("%w: %s", err, r.Stderr)
		}
		want := 1
		if reason == "Ready" {
			want = 0
		}
		if x.Reason != reason || !strings.Contains(x.Answer, word) || r.ExitCode != want {
			return fmt.Errorf("exit status %d, %s: %s", r.ExitCode, x.Reason, x.Answer)
		}
		w.t.Logf("%s: %s (%s)", x.Reason, x.Answer, x.Remedy)
		return nil
	})
}

// Whatever a cluster does with an assignment is one reason, with the object and what is wrong with it.
func TestWhyInTheCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	w.must(os.WriteFile(policy, []byte("kinds: {deny: [networking.k8s.io/NetworkPolicy]}\n"), 0o600))
	s := w.spokeAs(lisbon, lisbon, func(c *fleet.SpokeConfig) { c.Flags = append(c.Flags, "--policy", policy) })
	w.must(s.Enrol(w.ctx, w.cli, lisbon, "test=yes"))
	w.do("wait", "cluster/"+lisbon, "--for", "connected", "--timeout", patience.String())
	w.group("all")
	w.ready("base", w.publish("base", "all", namespace))
	w.why(lisbon, "base", "Ready", "revision 1")

	w.publish("lost", "all", lost)
	w.apply(bundle("waits", "{dependsOn: [{bundle: lost}]}"))
	w.republish("waits", settings("waits", "1"))
	w.publish("denied", "all", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: none, namespace: NS}\nspec: {podSelector: {}}\n")
	w.publish("slow", "all", "apiVersion: v1\nkind: Service\nmetadata: {name: slow, namespace: NS}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n") // nobody gives it an address
	w.publish("crashing", "all", workload("crashing", "registry.example/crash:1"))
	w.apply("apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: lacking}\nspec: {targets: [{group: all}], customization: {substitute: true}}\n")
	w.republish("lacking", settings("lacking", "${labels.nowhere}"))
	var many []string
	for i := range 12 {
		many = append(many, settings(fmt.Sprint("many", i), "1"))
	}
	w.ready("many", w.publish("many", "all", many...))
	w.publish("many", "all", many[:2]...)
	stuck := strings.Replace(settings("stuck", "1"), "metadata: {", "metadata: {finalizers: [example.com/never], ", 1)
	w.ready("stuck", w.publish("stuck", "all", stuck, settings("stays", "1")))
	w.publish("stuck", "all", settings("stays", "1"))

	w.why(lisbon, "lost", "ApplyFailed", "NamespaceNotFound")
	w.why(lisbon, "waits", "Dependency", "lost")
	w.why(lisbon, "denied", "PolicyDenies", "NetworkPolicy")
	w.why(lisbon, "crashing", "ObjectUnhealthy", "CrashLoopBackOff")
	w.why(lisbon, "lacking", "CustomizationFailed", "nowhere")
	w.why(lisbon, "many", "DeletionAsks", "")
	w.why(lisbon, "stuck", "Applying", "stuck")
	w.why(lisbon, "slow", "ObjectNotReady", "slow")
}
