package archtest

import "testing"

// rule says what packages must not import, directly or through others.
//
// Our own packages are named by their folder ("hub/store"), all others by their import path. "x/..." is x and all below it.
type rule struct {
	name string
	why  string
	// from are the packages that the rule is about, and except those that it is not about.
	from, except []string
	// deny are the packages that may not be imported.
	deny []string
	// only, if set, are those of our own packages that may be imported: all others may not.
	only []string
	// through are packages whose own imports do not count. Each needs its reason in why.
	through []string
	// direct rules look at the packages' own imports only.
	direct bool
}

// The outside world, by what it would drag in.
const (
	grpc       = "google.golang.org/grpc/..."
	http       = "net/http"
	kubernetes = "k8s.io/..."
	prometheus = "github.com/prometheus/client_golang/prometheus"
)

var rules = []rule{
	{
		name: "the hub does not know the spoke",
		why:  "they meet on the stream, in versions of their own",
		from: []string{"hub/..."}, deny: []string{"spoke/..."},
	},
	{
		name: "the spoke does not know the hub",
		why:  "they meet on the stream, in versions of their own",
		from: []string{"spoke/..."}, deny: []string{"hub/..."},
	},
	{
		name: "pkg and proto know neither hub nor spoke",
		why:  "both stand on them",
		from: []string{"pkg/...", "proto/..."}, deny: []string{"hub/...", "spoke/..."},
	},
	{
		name: "messages know only messages",
		why:  "clients in other repositories import them",
		from: []string{"proto/..."}, only: []string{"proto/..."},
	},
	{
		name: "programs hold nothing of the tests",
		why:  "e2e starts processes and trusts everybody",
		from: []string{"hub/...", "spoke/...", "pkg/...", "proto/..."}, deny: []string{"e2e/..."},
	},
	{
		name: "programs hold nothing of what packs them",
		why:  "the libraries for images are no program's business",
		from: []string{"hub/...", "spoke/...", "pkg/...", "proto/..."}, deny: []string{"deploy/...", "github.com/google/go-containerregistry/..."},
	},
	{
		name: "placement, rollout and status are pure",
		why:  "they are run in every transaction and every session, and are tested as functions",
		from: []string{"hub/placement", "hub/rollout", "hub/status"}, deny: []string{grpc, http, kubernetes},
	},
	{
		name: "health rules know only messages",
		why:  "the hub compiles them without Kubernetes, and the spoke pays for what they link",
		from: []string{"pkg/healthrule"}, deny: []string{grpc, http, kubernetes},
	},
	{
		name: "the store knows only messages and its disk",
		why: "several hubs will share one log; nothing of a server belongs in it. " +
			"Prometheus's client, for its metrics, brings net/http along (it has the handler beside the registry): through it alone",
		from: []string{"hub/store"}, deny: []string{grpc, http, kubernetes}, through: []string{prometheus},
	},
	{
		name: "filters and what they are evaluated over know no server",
		why:  "several edges may ask them; gRPC's words for what is wrong are made in hub/api",
		from: []string{"hub/query", "hub/index", "hub/cause"}, deny: []string{grpc, http, kubernetes}, through: []string{prometheus},
	},
	{
		name: "dispatch does not know the api",
		why:  "they meet in the store alone",
		from: []string{"hub/dispatch"}, deny: []string{"hub/api"},
	},
	{
		name: "the api does not know dispatch",
		why:  "they meet in the store alone",
		from: []string{"hub/api"}, deny: []string{"hub/dispatch"},
	},
	{
		name: "dispatch links no Kubernetes",
		why:  "thousands of sessions share its memory, and the hub holds no cluster's credentials",
		from: []string{"hub/dispatch"}, deny: []string{kubernetes},
	},
	{
		name: "the stream's side of the spoke knows no Kubernetes",
		why:  "it and the cluster's side meet in spoke.go; the state's backend in a cluster is in spoke/kube",
		from: []string{"spoke/session", "spoke/state", "spoke/report"}, deny: []string{kubernetes},
	},
	{
		name: "the cluster's side of the spoke knows no gRPC",
		why: "it and the stream's side meet in spoke.go. " +
			"The generated stubs of SpokeService lie in one package with the messages that spoke/state keeps: through it alone",
		from: []string{"spoke/apply", "spoke/event", "spoke/inventory", "spoke/health", "spoke/drift", "spoke/reconcile"},
		deny: []string{grpc, "spoke/session"}, through: []string{"proto/yardarm/spoke/v1"},
	},
	{
		name: "the policy judges and does nothing",
		why:  "what bounds a hub is to be read, and tested, as a function of a file and an object",
		from: []string{"spoke/policy"}, deny: []string{grpc, kubernetes},
	},
	{
		name: "the CLI knows proto and pkg only",
		why: "it is a client like any other. " +
			"What renders brings Kubernetes's types along (Helm and Kustomize know them): through it alone",
		from: []string{"hub/cmd/yardarm", "pkg/cli/...", "pkg/client/..."}, only: []string{"pkg/...", "proto/..."}, deny: []string{kubernetes},
		through: []string{"pkg/render"},
	},
	{
		name: "the spoke stays small",
		why:  "one runs in every cluster; the hub renders",
		from: []string{"spoke/cmd/yardarm-spoke"},
		deny: []string{"pkg/render", "helm.sh/...", "sigs.k8s.io/kustomize/...", "github.com/go-git/...", "oras.land/...", "github.com/coreos/go-oidc/...", "go.opentelemetry.io/..."},
	},
	{
		name: "only one package knows how traces are sent",
		why:  "all others make spans, which costs them and their tests nothing where nobody asks for them",
		from: []string{"hub/...", "pkg/...", "proto/..."}, except: []string{"hub", "hub/tracing", "hub/cmd/yardarm-hub"},
		deny: []string{"go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/...", "go.opentelemetry.io/contrib/..."},
	},
	{
		name: "rendering fetches nothing",
		why:  "it is run over foreign input in a process that has no network; what is fetched, hub/source fetches",
		from: []string{"pkg/render"}, deny: []string{grpc, "pkg/client/...", "github.com/go-git/...", "oras.land/...", "helm.sh/helm/v4/pkg/action", "helm.sh/helm/v4/pkg/getter"},
	},
	{
		name: "what is fetched is fetched for nobody",
		why:  "servers are asked, and archives unpacked, without a word of bundles; package source knows both",
		from: []string{"hub/source/reach", "hub/source/git", "hub/source/archive", "hub/source/chart", "hub/source/oci"},
		deny: []string{grpc, "hub/store/...", "hub/api/...", "pkg/render"},
	},
	{
		name: "who calls is known without a server",
		why:  "the API's two edges ask the same judge; gRPC's words for what is wrong are made in hub/api",
		from: []string{"hub/authz", "hub/oidc"}, deny: []string{grpc, kubernetes},
	},
	{
		name: "notifications follow from the store",
		why:  "what is told is what the rows say, and the API meets it in two methods",
		from: []string{"hub/notify"}, deny: []string{grpc, kubernetes, "hub/api", "hub/dispatch"},
	},
	{
		name: "customization knows no API types",
		why:  "hub and spoke link it; of those types it needs the merge keys alone, which are in a table",
		from: []string{"pkg/manifest/customize"}, deny: []string{"k8s.io/api/...", "k8s.io/client-go/...", grpc},
	},
	{
		name: "no program links Kubernetes itself",
		why:  "the control planes for tests are a module of their own, with requirements that nobody else should get",
		from: []string{"..."}, deny: []string{"k8s.io/kubernetes/...", "go.etcd.io/etcd/server/...", "sigs.k8s.io/kwok/..."},
	},
	{
		name: "gRPC's codes stay at the edges",
		why:  "packages have errors of their own; one mapping at each edge turns them into codes, and codes into them",
		from: []string{"hub/...", "spoke/...", "pkg/..."},
		except: []string{"hub/api", "hub/dispatch", "hub/gateway", "spoke/session", "spoke/enroll",
			"pkg/client", "pkg/cli"},
		deny: []string{"google.golang.org/grpc/codes", "google.golang.org/grpc/status"}, direct: true,
	},
}

// later are packages that rules name and that are still to be written. A package that is neither here nor there is
// misspelt; one that is here and there is to be struck off.
var later = []string{}

// unused are modules that rules keep out and that nothing links anywhere, which is why their names cannot be checked.
var unused = []string{
	"github.com/go-git/...", "helm.sh/helm/v4/pkg/action", "helm.sh/helm/v4/pkg/getter",
	"k8s.io/kubernetes/...", "go.etcd.io/etcd/server/...", "sigs.k8s.io/kwok/...",
}

func TestImportRules(t *testing.T) {
	g := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, chain := range g.check(r) {
				t.Errorf("%s\n%s, because %s", chain, r.name, r.why)
			}
		})
	}
}

// TestNamesInRules: a rule about a package that does not exist keeps nothing.
func TestNamesInRules(t *testing.T) {
	g := load(t)
	for _, r := range rules {
		for _, list := range [][]string{r.from, r.except, r.deny, r.only, r.through} {
			for _, name := range list {
				switch own, exists := g.own(name), g.exists(name); {
				case exists && contains(later, name):
					t.Errorf("%s exists now: take it off the list of later packages", name)
				case exists || contains(unused, name):
				case own && contains(later, name):
					t.Logf("%s is still to be written: %q is not checked for it", name, r.name)
				default:
					t.Errorf("the rule %q names %s, which does not exist", r.name, name)
				}
			}
		}
	}
}

// TestRulesFail breaks every rule in every way that it names, in graphs made up for it.
func TestRulesFail(t *testing.T) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			denied := r.deny
			if r.only != nil {
				denied = append([]string{"hub/store", "spoke/state"}, denied...)
			}
			for _, from := range r.from {
				for _, to := range denied {
					a, b := example(from), example(to)
					if chains := made(a, b).check(r); len(chains) != 1 {
						t.Errorf("%s importing %s: got %q", a, b, chains)
					}
					want := 1
					if r.direct {
						want = 0
					}
					if chains := made(a, "between", b).check(r); len(chains) != want {
						t.Errorf("%s importing %s through another: got %q", a, b, chains)
					}
					for _, gate := range r.through {
						if chains := made(a, gate, b).check(r); len(chains) != 0 {
							t.Errorf("%s importing %s through %s: got %q", a, b, gate, chains)
						}
						if chains := made(gate, b).check(r); len(chains) != 0 {
							t.Errorf("%s importing %s: got %q", gate, b, chains)
						}
					}
				}
				if chains := made(example(from), "strings").check(r); len(chains) != 0 {
					t.Errorf("%s importing strings: got %q", from, chains)
				}
			}
			for _, spared := range r.except {
				if chains := made(spared, example(r.deny[0])).check(r); len(chains) != 0 {
					t.Errorf("%s importing %s: got %q", spared, r.deny[0], chains)
				}
			}
		})
	}
}
