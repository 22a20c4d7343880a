package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// chartEnv names another chart than the source tree's, for an organization with a registry.
	chartEnv = "YARDARM_CHART"
	// sourceChart is where the chart is in a checkout.
	sourceChart = "deploy/charts/yardarm-spoke"
)

// spokeFlags say how a new cluster's spoke is to be started.
type spokeFlags struct {
	process bool
	chart   string
	set     []string
}

func (f *spokeFlags) register(cmd *cobra.Command) {
	chart := cmp.Or(os.Getenv(chartEnv), sourceChart)
	cmd.Flags().BoolVar(&f.process, "process", false, "print a command that runs the spoke as a plain program, instead of helm install")
	cmd.Flags().StringVar(&f.chart, "chart", chart, "the spoke's `chart`, a path or an oci:// reference ("+chartEnv+")")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a `value` of the chart, as in rbac.preset=read-only; may be repeated")
}

func (f *spokeFlags) check() error {
	for _, value := range f.set {
		switch key, _, ok := strings.Cut(value, "="); {
		case !ok || key == "":
			return usage("--set %s: want NAME=VALUE, as in rbac.preset=read-only", value)
		case f.process:
			return usage("--set is for the chart: leave out --process, or --set")
		}
	}
	return nil
}

// where says in which shell the command belongs.
func (f *spokeFlags) where(cluster string) string {
	if f.process {
		return "Run this where the API of " + cluster + " can be reached. KUBECONFIG is the path of its kubeconfig."
	}
	return "Run this where Helm reaches " + cluster + ": with its context the current one, or with --kube-context."
}

// command is what starts the new cluster's spoke. The token is in the environment or on standard input, because the arguments
// of a process are for all to see. known says that the hub knows where spokes reach it.
func (f *spokeFlags) command(cluster string, resp *hubv1.EnrollClusterResponse) (command string, known bool) {
	addresses := resp.GetSpokeAddresses()
	if known = len(addresses) > 0; !known {
		addresses = []string{"HUB:PORT"}
	}
	if f.process {
		return fmt.Sprintf("YARDARM_TOKEN=%s yardarm-spoke run --hub %s --kubeconfig KUBECONFIG", shellQuote(resp.GetToken()), shellQuote(addresses[0])), known
	}
	var set strings.Builder
	for _, value := range f.set {
		set.WriteString(" --set " + shellQuote(value))
	}
	return fmt.Sprintf(`helm install yardarm-spoke %s --namespace yardarm-system --create-namespace%s --values - <<'END'
cluster: %s
hub: %s
token: %s
END`, shellQuote(f.chart), set.String(), inYAML(cluster), inYAML(addresses), inYAML(resp.GetToken())), known
}

// inYAML writes a value as JSON, which is YAML whatever is in it.
func inYAML(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic("cli: " + err.Error()) // texts can be marshalled
	}
	return string(text)
}

// shellQuote makes one word of a text for a POSIX shell.
func shellQuote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/=", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
