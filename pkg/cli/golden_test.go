package cli

import (
	"strings"
	"testing"
)

// TestOutput runs commands that only look. Each list becomes one golden file: what was typed, standard output, standard error behind "! ", exit code.
func TestOutput(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, tc := range []struct {
		name     string
		commands []string
	}{
		{"get", []string{
			"get clusters", "get cl -o wide", "get clusters -l env=prod,region!=us", "get clusters --group prod -o name", "get groups", "get cg/big -o wide",
			"get bundles", "get b web -o wide", "get revisions --bundle web", "get rev web-3 -o wide", "get revisions -o name", "get assignments", "get assignments --bundle web -o wide",
			"get as --group prod -o name", "get clusters,bundles --limit 2", "get cluster/eu-1 bundle/web", "get bundles --group prod -o name", "get groups -l a=b",
			"get clusters --limit 3", "get clusters -l none",
		}},
		{"get-yaml", []string{"get cluster us-1 -o yaml", "get groups -o yaml", "get revision web-3 -o json", "get assignment eu-2.web -o json", "get clusters -l none -o yaml"}},
		{"get-errors", []string{
			"get", "get pods", "get cluster nope", "get cluster eu-1 nope", "get clusters nope gone", "get cluster nope -o yaml", "get cluster/eu-1 web", "get clusters,bundles x",
			"get clusters --bundle web", "get clusters eu-1 -l a=b", "get clusters -l a=(", "get revision web", "get assignment eu-1", "get clusters -o xml", "get revisions -w",
			"get clusters,bundles -w", "get clusters -w --limit 3", "get clusters -w --sort name", "get cluster eu-1 --filter a=b", "get clusters --limit -1", "get clusters --output-watch-events", "get clusters --nope", "get clusters --filtr a=b",
		}},
		{"describe-cluster", []string{"describe cluster eu-2", "describe cluster us-1", "describe cluster old-1", "describe cluster lab-1"}},
		{"describe", []string{"describe group prod", "describe group big", "describe bundle web", "describe bundle draft", "describe rev web-2", "describe assignment eu-2.web us-1.web", "describe assignment eu-1.db", "describe bundle nope", "describe bundles"}},
		{"status", []string{"status", "status --limit 1 --exit-code", "status bundle/web", "status bundle/web --exit-code", "status bundle db --exit-code", "status cluster/us-1", "status bundle/draft", "status bundle/nope", "status group/prod"}},
		{"problems", []string{"problems", "problems bundle/db cluster/eu-1", "problems --exit-code", "problems -o yaml", "problems group/prod", "problems --limit 0"}},
		{"drift", []string{"drift", "drift bundle/web", "drift cluster/eu-1 bundle/db --filter env=prod", "drift nope", "drift accept bundle/db cluster/eu-1 --dry-run",
			"drift accept bundle/db cluster/eu-1 --field spec.nope", "drift accept bundle/db cluster/eu-1 --object Pod", "drift accept bundle/db", "drift accept cluster/eu-1 bundle/a bundle/b", "drift accept cluster/eu-1 cluster/eu-2"}},
		{"why", []string{"why eu-2 web", "why cluster/eu-1 bundle/web", "why lab-1 web", "why eu-2 web -o yaml", "why eu-2", "why nope web"}},
		{"events", []string{"events", "events --tail 1", "events --cluster cluster/eu-1", "events --bundle web -o json", "events --bundle none"}},
		{"history", []string{"rollout history bundle/web", "rollout history web --limit 1", "rollout history draft", "rollout history bundle/nope", "rollout"}},
		{"rollout", []string{"rollout status bundle/web", "rollout status db", "rollout status shop", "rollout status draft", "rollout status web -o yaml", "rollout watch web", "rollout watch db",
			"rollout approve web -m looks-good", "rollout pause web --revision 3 --dry-run", "rollout resume nope", "rollout promote", "publish . --bundle web --rollout Blue!"}},
		{"meant", []string{"stauts", "rollout histroy web", "config veiw", "config nope", "get cluser", "get clusters eu1", "get clusters eu-3", "describe bundle wep", "status cluster/su-1", "wait bundle/wep", "wait cluster/eu1", "get clusters eu1 us1"}},
		{"root", []string{"", "nope", "get clusters --color sometimes", "get clusters --request-timeout 0s", "get clusters --context nope", "get clusters --config /nowhere/config.yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			for _, command := range tc.commands {
				args := strings.Fields(command)
				b.WriteString(transcript(args, h.run(t, args...)) + "\n")
			}
			golden(t, tc.name, b.String())
		})
	}
}
