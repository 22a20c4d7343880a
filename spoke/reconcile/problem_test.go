package reconcile

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// denyDenied has the API server deny config maps of the test's namespace that are named denied.
func (e *env) denyDenied() {
	e.t.Helper()
	e.createIn("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: `+e.ns+`}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}
  validations: [{expression: "object.metadata.name != 'denied'", message: "no config map may be named denied"}]`)
	e.createIn("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: `+e.ns+`}
spec:
  policyName: `+e.ns+`
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+e.ns+`}}}`)
	e.until("the policy is in force", func() bool {
		obj := &unstructured.Unstructured{Object: e.set(configMap("denied", "x")).Objects()[0].Clone()}
		_, err := e.dynamic.Resource(configMaps).Namespace(e.ns).Create(e.t.Context(), obj, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "may be named denied")
	})
}

// noServices sets a quota of none in the test's namespace.
func (e *env) noServices() {
	e.t.Helper()
	e.createIn("", "v1", "resourcequotas", "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: "+e.ns+"}\nspec: {hard: {services: '0'}}")
	e.setStatus(gvr("", "v1", "resourcequotas"), "q", map[string]any{"hard": map[string]any{"services": "0"}, "used": map[string]any{"services": "0"}})
}

// What a real API server says no to, and what is made of it.
func TestProblems(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.denyDenied()
	e.noServices()

	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nimmutable: true\nstringData: {key: one}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{secret}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{
		strings.Replace(secret, "one", "s3cret", 1),
		configMap("denied", "one"),
		configMap("good", "one"),
		"apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {type: s3cret, ports: [{port: 80}]}",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: misspelt}\ndatas: {key: one}",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {key: " + strings.Repeat("x", 1<<20+1) + "}",
	}})
	r := s.await("web", "all six are tried", func(r *yardarmv1.Report) bool { return r.Objects.Failed == 5 })
	for name, reason := range map[string]string{
		"/s": "ImmutableField", "/denied": "AdmissionDenied", "/bad": "Invalid", "/misspelt": "Invalid", "/large": "TooLarge",
	} {
		if p := problemOf(r, name); p == nil || p.Reason != reason {
			t.Errorf("%s: %v, want %s", name, p, reason)
		}
	}
	for _, p := range r.Problems {
		if strings.Contains(p.Message, "s3cret") {
			t.Errorf("the message holds a value: %s", p.Message)
		}
	}
	if r.Phase != yardarmv1.PhaseFailed {
		t.Errorf("phase %s", r.Phase)
	}
	e.want(true, "good")
	e.want(false, "denied", "misspelt", "large")

	e.assign(assignment{bundle: "quota", revision: 1, objects: []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: much}\nspec: {ports: [{port: 80}]}",
	}})
	r = s.awaitPhase("quota", yardarmv1.PhaseFailed)
	if r.Reason != "QuotaExceeded" {
		t.Errorf("quota: %v", r)
	}
}

func (e *env) createIn(group, version, resource, object string) {
	e.t.Helper()
	obj := &unstructured.Unstructured{Object: e.set(object).Objects()[0].Clone()}
	_, err := e.dynamic.Resource(gvr(group, version, resource)).Namespace(obj.GetNamespace()).Create(e.t.Context(), obj, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
}

// A spoke with few rights does what it may, and says what it may not.
func TestForbidden(t *testing.T) {
	e := newEnv(t)
	user := "limited-" + e.ns
	e.createIn("rbac.authorization.k8s.io", "v1", "clusterroles", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: `+user+`}
rules: [{apiGroups: [""], resources: [configmaps, secrets, namespaces], verbs: ["*"]}]`)
	e.createIn("rbac.authorization.k8s.io", "v1", "clusterrolebindings", `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: `+user+`}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: `+user+`}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: `+user+`}]`)
	e.config = rest.CopyConfig(e.config)
	e.config.Impersonate.UserName = user
	s := e.start()
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "one"), service}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "/svc"); p == nil || p.Reason != "Forbidden" || !strings.Contains(p.Message, "services") {
		t.Errorf("problem: %v", p)
	}
	e.want(true, "m0")
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })
}
