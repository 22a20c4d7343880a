package charts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/hub/oidc"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// namespace is where both charts are installed; prod and web are there too.
const namespace = "yardarm-system"

var (
	helmPath string
	server   *cluster.Cluster
	kubectl  string
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) (code int) {
	ctx := context.Background()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if helmPath, err = Helm(ctx, os.Stderr); err != nil {
		return fail(err)
	}
	clusters, err := cluster.Start(ctx, cluster.Config{Clusters: []cluster.Spec{{Name: "a"}}, Progress: os.Stderr})
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := clusters.Stop(); err != nil {
			code = fail(err)
		}
	}()
	server, kubectl = clusters.Cluster("a"), clusters.Bin().Path("kubectl")
	if out, err := apply(ctx, []byte(surroundings)); err != nil {
		return fail(fmt.Errorf("%w\n%s", err, out))
	}
	return m.Run()
}

// surroundings are what the charts expect to be there: namespaces, and the Prometheus operator's kinds where they are asked for.
const surroundings = `{apiVersion: v1, kind: Namespace, metadata: {name: yardarm-system}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: prod}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: web}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: ServiceMonitor, plural: servicemonitors, singular: servicemonitor, listKind: ServiceMonitorList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PrometheusRule, plural: prometheusrules, singular: prometheusrule, listKind: PrometheusRuleList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {groups: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}}
`

// apply applies manifests to the API server, or with --dry-run=server has it judge them.
func apply(ctx context.Context, manifests []byte, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, kubectl, append([]string{"--kubeconfig", server.KubeconfigPath(), "apply", "--server-side", "--validate=strict", "-f", "-"}, args...)...)
	command.Stdin = bytes.NewReader(manifests)
	return command.CombinedOutput()
}

// run runs Helm, with values on standard input.
func run(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), helmPath, append(args, "--values", "-")...)
	command.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}
	command.Stdin = strings.NewReader(values)
	out, err := command.CombinedOutput()
	return string(out), err
}

func TestHelmVersion(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("helm", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "helm.sh/helm/v3 " + helmVersion; !bytes.Contains(mod, []byte(want)) {
		t.Errorf("helm/go.mod does not require %q", want)
	}
}

// usual are values that every chart takes, none of them its default.
const usual = `
image: {repository: registry.example.com/it, digest: "sha256:0123456789012345678901234567890123456789012345678901234567890123", pullPolicy: Always}
imagePullSecrets: [{name: pull}]
nameOverride: it
resources: {limits: {cpu: 2, memory: 2Gi}}
nodeSelector: {disk: ssd}
tolerations: [{key: a, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
priorityClassName: system-cluster-critical
podLabels: {team: fleet}
podAnnotations: {note: "yes"}
extraEnv: [{name: GOGC, value: "80"}]
log: {format: text, level: debug}
metrics: {port: 9000}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {rules: fleet}}
serviceAccount: {annotations: {iam: role}}
`

// certificate is one of nobody, as it is in a quoted value.
const certificate = `-----BEGIN CERTIFICATE-----\nMIIBdjCCARugAwIBAgIUMpS9yvOkrtZJpKdQv6EKYsKxLDswCgYIKoZIzj0EAwIw\nDzENMAsGA1UEAwwEY29ycDAgFw0yNjExMjYwMzM2MDVaGA8yMTI2MTEwMjAzMzYw\nNVowDzENMAsGA1UEAwwEY29ycDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHN8\nqc2YHvnqjXMB4M7So4qJ088bKa1QF39gM1DsT5mAqrDRaojo+QZJas7o33rLMqJI\nWGqXZ160VoIQg9kv/XqjUzBRMB0GA1UdDgQWBBRCrWKTaFf4xfNKDnfpJLQyEokE\nWTAfBgNVHSMEGDAWgBRCrWKTaFf4xfNKDnfpJLQyEokEWTAPBgNVHRMBAf8EBTAD\nAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDOtNyWILGsX6owg7TSPfxTGXJYomdJuRFK\nULtH+H2bLgIhANNiCo5+EF+1s0w/SIbzF+zksq7fRQNOgCIfWVg0Jh4c\n-----END CERTIFICATE-----\n`

// TestCharts renders each chart with many values, has Helm's linter look at it, and has an API server judge the objects.
func TestCharts(t *testing.T) {
	const enrolled = "cluster: edge-1\nhub: [\"hub.example.com:7444\"]\ntoken: ye1abc\n"
	for _, c := range []struct {
		name, chart, values string
		want                []string // in what is rendered
		without             []string
	}{
		{"defaults", "yardarm-spoke", enrolled, []string{
			"yardarm-dev/yardarm-spoke:devel", "--hub=hub.example.com:7444", "strategy: {type: Recreate}", "name: cluster-admin", "policyTypes: [Ingress]",
			"readOnlyRootFilesystem: true", `token: "ye1abc"`}, []string{"PersistentVolumeClaim", "ServiceMonitor", "PrometheusRule", "HTTPS_PROXY", "kind: Job"}},
		{"enrolled already", "yardarm-spoke", "", nil, []string{"YARDARM_TOKEN", "kind: Secret"}},
		{"existing secret", "yardarm-spoke", "existingSecret: mine\n", []string{"{name: mine, key: token, optional: true}"}, []string{"kind: Secret"}},
		{"usual", "yardarm-spoke", enrolled + usual + "extraArgs: [--resync=1m]\n", []string{
			"registry.example.com/it@sha256:", "--metrics-listen=:9000", "--resync=1m", "team: fleet", "name: GOGC", "release: prometheus", "rules: fleet",
			"alert: YardarmSpokeDisconnected", "at {{ $labels.instance }}"}, nil},
		{"proxy", "yardarm-spoke", enrolled + "proxy: {https: \"http://proxy:3128\", noProxy: 10.0.0.0/8}\n", []string{
			`{name: HTTPS_PROXY, value: "http://proxy:3128"}`, `"$(KUBERNETES_SERVICE_HOST),localhost,.svc,.cluster.local,10.0.0.0/8"`}, nil},
		{"removing workloads", "yardarm-spoke", enrolled + "removeWorkloads: {enabled: true, timeout: 1m}\nproxy: {https: \"http://proxy:3128\"}\npersistence: {enabled: true}\n", []string{
			"helm.sh/hook: pre-delete", "- leave", "--timeout=1m", "name: yardarm-spoke-leave"}, nil},
		{"volume", "yardarm-spoke", enrolled + "persistence: {enabled: true, storageClass: fast}\n", []string{"--state-dir=/var/lib/yardarm", "storageClassName: fast", "resource-policy: keep"}, nil},
		{"existing volume", "yardarm-spoke", enrolled + "persistence: {enabled: true, existingClaim: mine}\n", []string{"{claimName: mine}"}, []string{"kind: PersistentVolumeClaim"}},
		{"namespaced", "yardarm-spoke", enrolled + "rbac: {preset: namespaced, namespaces: [prod, web]}\n", []string{
			"namespace: web", "allow:\n      - prod\n      - web"}, []string{"name: cluster-admin", "[get, list, watch]"}},
		{"namespaced, and reading", "yardarm-spoke", enrolled + "rbac: {preset: namespaced, namespaces: [prod], readCluster: true}\npolicy: {namespaces: {allow: [\"pr*\"]}}\n", []string{
			"[get, list, watch]", "- pr*"}, nil},
		{"read-only", "yardarm-spoke", enrolled + "rbac: {preset: read-only}\n", []string{"[get, list, watch]", "readOnly: true"}, []string{"name: cluster-admin"}},
		{"custom", "yardarm-spoke", enrolled + "rbac: {preset: custom, clusterRole: edit, rules: [{apiGroups: [apps], resources: [deployments], verbs: [\"*\"]}]}\n", []string{
			"name: edit", "- deployments"}, []string{"name: cluster-admin"}},
		{"policy", "yardarm-spoke", enrolled + `policy:
  namespaces: {allow: ["prod-*"], deny: [prod-vault]}
  kinds: {deny: ["rbac.authorization.k8s.io/*"]}
  clusterScoped: {allow: [core/Namespace]}
  ownNamespace: deny
  impersonation: {default: web/deployer, required: true, allow: ["prod-*/deployer"], bundles: {"platform-*": web/platform}}
  freeze: {reason: "stocktaking: until Monday"}
`, []string{"stocktaking: until Monday"}, nil},
		{"open", "yardarm-spoke", enrolled + "networkPolicy: {enabled: false}\nserviceAccount: {create: false, name: mine}\n", nil, []string{"NetworkPolicy", "kind: ServiceAccount\nmetadata"}},

		{"defaults", "yardarm-hub", "addresses: [hub.example.com]\n", []string{
			"yardarm-dev/yardarm-hub:devel", "--address=hub.example.com", "--address=yardarm-hub.yardarm-system.svc", "--api-address=hub.example.com:7443",
			"--spoke-address=hub.example.com:7444", "type: LoadBalancer", "volumeClaimTemplates", "--server=https://yardarm-hub.yardarm-system.svc:7443", "kind: CronJob",
			"{claimName: data-yardarm-hub-0, readOnly: true}", "policyTypes: [Ingress]"}, []string{"Ingress\nmetadata", "ServiceMonitor", "PrometheusRule", "storageClassName"}},
		{"usual", "yardarm-hub", "addresses: [hub.example.com]\n" + usual + "extraArgs: [--heartbeat=1m]\n", []string{
			"registry.example.com/it@sha256:", "--heartbeat=1m", "team: fleet", "name: GOGC", "rules: fleet", "alert: YardarmClustersStale"}, nil},
		{"node ports", "yardarm-hub", "addresses: [192.0.2.1, \"2001:db8::1\"]\nservice: {type: NodePort, apiNodePort: 30443, spokeNodePort: 30444}\n", []string{
			"--api-address=192.0.2.1:30443", "--spoke-address=192.0.2.1:30444", "--spoke-address=[2001:db8::1]:30444", "nodePort: 30444"}, nil},
		{"load balancers of their own", "yardarm-hub", `addresses: [hub.example.com, spokes.example.com]
spokeAddresses: ["spokes.example.com:443"]
service: {loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local, annotations: {lb: internal}}
spokeService: {enabled: true, port: 443, loadBalancerClass: example.com/lb}
`, []string{"--spoke-address=spokes.example.com:443", "name: yardarm-hub-spokes", "loadBalancerClass: example.com/lb", "- 10.0.0.0/8"}, []string{"--spoke-address=hub"}},
		{"ingress", "yardarm-hub", `addresses: [hub.example.com, spokes.example.com]
apiAddress: hub.example.com:443
spokeAddresses: ["spokes.example.com:443"]
service: {type: ClusterIP}
ingress: {enabled: true, className: nginx, apiHost: hub.example.com, spokeHost: spokes.example.com}
`, []string{"kind: Ingress", "ssl-passthrough: \"true\"", "port: {name: spokes}", "port: {name: api}", "ingressClassName: nginx"}, []string{"externalTrafficPolicy"}},
		{"given secrets", "yardarm-hub", "addresses: [hub.example.com]\ntls: {existingSecret: cert, ca: true}\nhubKey: {existingSecret: key}\n", []string{
			"--tls-cert=/etc/yardarm/tls/tls.crt", "--tls-ca=", "--hub-key-file=", "secretName: cert"}, []string{"--server="}},
		{"identity providers", "yardarm-hub", `addresses: [hub.example.com]
podAnnotations: {note: "yes"}
access:
  identityProviders:
  - {name: corp, issuer: "https://login.example.com", ca: corp.pem, username: {claim: email, prefix: ""}, login: {clientID: yardarm}}
  - {name: github, issuer: "https://token.actions.githubusercontent.com", audiences: [a], required: {repository_owner: [acme]}}
  files: {corp.pem: "` + certificate + `"}
  existingSecret: clients
  clientCA: "` + certificate + `"
`, []string{"--oidc-config=/etc/yardarm/access/providers.yaml", "--client-ca=/etc/yardarm/access/client-ca.pem", "configMap: {name: yardarm-hub-access}", "secret: {secretName: clients}", "mountPath: /etc/yardarm/access-secrets", "note: \"yes\""}, nil},
		{"client certificates", "yardarm-hub", "addresses: [a]\naccess: {clientCA: \"" + certificate + "\"}\n", []string{"--client-ca="}, []string{"--oidc-config"}},
		{"given volumes", "yardarm-hub", "addresses: [a]\npersistence: {existingClaim: mine}\nbackup: {existingClaim: theirs}\n", []string{
			"{claimName: mine}", "{claimName: mine, readOnly: true}", "{claimName: theirs}"}, []string{"volumeClaimTemplates", "kind: PersistentVolumeClaim"}},
		{"storage class, no backup", "yardarm-hub", "addresses: [a]\npersistence: {storageClass: \"\"}\nbackup: {enabled: false}\n", []string{`storageClassName: ""`}, []string{"CronJob"}},
		{"closed", "yardarm-hub", "addresses: [a]\nnetworkPolicy: {apiFrom: [{ipBlock: {cidr: 10.0.0.0/8}}], metricsFrom: [{namespaceSelector: {matchLabels: {a: b}}}]}\n", []string{
			"cidr: 10.0.0.0/8"}, nil},
	} {
		t.Run(c.chart+", "+c.name, func(t *testing.T) {
			t.Parallel()
			chart, err := Path(c.chart)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := run(t, c.values, "lint", "--strict", "--namespace", namespace, chart); err != nil {
				t.Errorf("lint: %v\n%s", err, out)
			}
			rendered, err := run(t, c.values, "template", c.chart, chart, "--namespace", namespace)
			if err != nil {
				t.Fatalf("%v\n%s", err, rendered)
			}
			for _, want := range c.want {
				if !strings.Contains(rendered, want) {
					t.Errorf("%q is not in:\n%s", want, rendered)
				}
			}
			for _, no := range c.without {
				if strings.Contains(rendered, no) {
					t.Errorf("%q is in:\n%s", no, rendered)
				}
			}
			if out, err := apply(t.Context(), []byte(rendered), "--dry-run=server"); err != nil {
				t.Errorf("the API server refuses it: %v\n%s\n%s", err, out, rendered)
			}
			if c.chart == "yardarm-spoke" {
				checkPolicy(t, rendered)
			}
			if strings.Contains(rendered, "--oidc-config") {
				checkProviders(t, rendered)
			}
			if out, err := run(t, c.values, "install", c.chart, chart, "--namespace", namespace, "--dry-run=server", "--kubeconfig", server.KubeconfigPath()); err != nil || !strings.Contains(out, "rollout status") {
				t.Errorf("install: %v\n%s", err, out)
			}
		})
	}
}

// configMap is what the one ConfigMap holds; nil if there is none.
func configMap(t *testing.T, rendered string) map[string]string {
	t.Helper()
	for document := range strings.SplitSeq(rendered, "\n---\n") {
		var object struct {
			Kind string
			Data map[string]string
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Error(err)
		}
		if object.Kind == "ConfigMap" {
			return object.Data
		}
	}
	return nil
}

// checkPolicy reads the policy in the ConfigMap as the spoke does.
func checkPolicy(t *testing.T, rendered string) {
	t.Helper()
	text := configMap(t, rendered)["policy.yaml"]
	if _, err := policy.Parse([]byte(text), namespace); err != nil || text == "" {
		t.Errorf("the policy: %v\n%s", err, text)
	}
}

// checkProviders reads the identity providers as the hub does.
func checkProviders(t *testing.T, rendered string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range configMap(t, rendered) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := oidc.Load(filepath.Join(dir, "providers.yaml"))
	if err != nil || len(c.Providers) != 2 || *c.Providers[0].Username.Prefix != "" {
		t.Errorf("the identity providers: %+v, %v", c, err)
	}
}

// TestChartsRefuseMistakes: what is misspelt or makes no sense is told before anything is installed.
func TestChartsRefuseMistakes(t *testing.T) {
	for _, c := range []struct{ chart, values, want string }{
		{"yardarm-spoke", "tolkien: ye1abc\n", "tolkien"},
		{"yardarm-spoke", "token: secret\n", "token"},
		{"yardarm-spoke", "hub: [hub.example.com]\n", "hub"},
		{"yardarm-spoke", "hub: [\"https://hub.example.com:7444\"]\n", "hub"},
		{"yardarm-spoke", "policy: {kinds: {denied: [a]}}\n", "denied"},
		{"yardarm-spoke", "rbac: {preset: admin}\n", "preset"},
		{"yardarm-spoke", "rbac: {preset: namespaced}\n", "rbac.namespaces is needed"},
		{"yardarm-spoke", "image: {digest: latest}\n", "digest"},
		{"yardarm-spoke", "serviceAccount: {create: false}\n", "serviceAccount.name is needed"},
		{"yardarm-hub", "", "addresses is needed"},
		{"yardarm-hub", "addresses: [\"https://hub.example.com\"]\n", "addresses"},
		{"yardarm-hub", "addresses: [a]\nspokeAddresses: [a]\n", "spokeAddresses"},
		{"yardarm-hub", "addresses: [a]\nservice: {type: External}\n", "type"},
		{"yardarm-hub", "addresses: [a]\nbackup: {keep: 0}\n", "keep"},
		{"yardarm-hub", "addresses: [a]\naccess: {identityProviders: [{name: a}]}\n", "issuer"},
		{"yardarm-hub", "addresses: [a]\naccess: {clientCA: /etc/ca.pem}\n", "clientCA"},
	} {
		chart, err := Path(c.chart)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, c.values, "template", chart); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s with %q: %v, want one about %q\n%s", c.chart, c.values, err, c.want, out)
		}
	}
}
