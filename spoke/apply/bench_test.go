package apply

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mixed answers n objects as a bundle of some services has them.
func mixed(n int) []string {
	kinds := []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {a: one, b: two, c: three}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: NAME}\nstringData: {password: hidden}",
		"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: NAME}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {selector: {app: NAME}, ports: [{name: http, port: 80}]}",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, labels: {app: NAME}}\nspec:\n  replicas: 2\n  selector: {matchLabels: {app: NAME}}\n" +
			"  template:\n    metadata: {labels: {app: NAME}}\n    spec:\n      serviceAccountName: NAME\n      containers:\n" +
			"      - {name: web, image: 'example.com/web:1', ports: [{containerPort: 8080}], env: [{name: A, value: a}, {name: B, value: b}], resources: {requests: {cpu: 10m, memory: 16Mi}}}",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: NAME}\nrules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}]",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: NAME}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}\n" +
			"subjects: [{kind: ServiceAccount, name: NAME}]",
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: NAME}\nspec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}}",
		"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: NAME}\nspec: {maxUnavailable: 1, selector: {matchLabels: {app: NAME}}}",
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: NAME}\nspec: {rules: [{host: NAME.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: NAME, port: {name: http}}}}]}}]}",
	}
	var all []string
	for i := range n {
		all = append(all, strings.ReplaceAll(kinds[i%len(kinds)], "NAME", fmt.Sprintf("x%d", i/len(kinds))))
	}
	return all
}

// BenchmarkApply applies 100 objects of ten kinds that are not there; vs-kubectl is its time as a share of what kubectl apply --server-side
// takes for the same files.
func BenchmarkApply(b *testing.B) {
	objects := mixed(100)
	path := filepath.Join(b.TempDir(), "objects.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(objects, "\n---\n")), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		e := newEnvOf(b)
		started := time.Now()
		e.must(nil, objects...)
		ours += time.Since(started)
		program, err := exec.LookPath("kubectl")
		if err != nil {
			continue
		}
		e = newEnvOf(b)
		started = time.Now()
		out, err := exec.CommandContext(b.Context(), program, "--kubeconfig", fleet.Cluster("a").KubeconfigPath(), "--namespace", e.ns,
			"apply", "--server-side", "--filename", path).CombinedOutput()
		theirs += time.Since(started)
		if err != nil {
			b.Fatalf("kubectl: %v: %s", err, out)
		}
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ms/apply")
	if theirs > 0 {
		b.ReportMetric(float64(ours)/float64(theirs), "vs-kubectl")
	}
}
