package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// deployer lets a service account of the test's namespace write config maps there, and nothing else anywhere. It is granted to
// the group of the namespace's accounts, which the API server has to add by itself.
func (e *env) deployer(name string) (account, user string) {
	e.createIn("rbac.authorization.k8s.io", "v1", "roles", fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: %s, namespace: %s}
rules: [{apiGroups: [""], resources: [configmaps], verbs: ["*"]}]`, name, e.ns))
	e.createIn("rbac.authorization.k8s.io", "v1", "rolebindings", fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %s, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:%s"}]`, name, e.ns, name, e.ns))
	return e.ns + "/" + name, "system:serviceaccount:" + e.ns + ":" + name
}

// writtenAs fails the test unless all that was written since the last call was written as a user, but for what is the spoke's
// own, which is written as itself. It answers the methods.
func (s *spoke) writtenAs(user string) (methods []string) {
	s.t.Helper()
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	for _, w := range s.writes.audit {
		want := user
		if strings.Contains(w.path, "/namespaces/"+s.system+"/") || strings.HasSuffix(w.path, "/namespaces") {
			want = ""
		} else {
			methods = append(methods, w.method)
		}
		if w.user != want {
			s.t.Errorf("%s %s was written as %q, want %q", w.method, w.path, w.user, want)
		}
	}
	s.writes.audit = nil
	return methods
}

// Everything that a bundle writes is written as its service account: it can do what the account may, and is told what not.
func TestImpersonation(t *testing.T) {
	e := newEnv(t)
	account, user := e.deployer("deployer")
	e.policy.set("impersonation: {default: " + account + ", required: true}")
	s := e.start()

	// Dry runs, creations, the takeover of what kubectl applied, and what is forbidden.
	e.create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m0, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}}\ndata: {key: old, other: old}")
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {ports: [{port: 80}]}"
	foreign := configMapIn("default", "foreign-"+e.ns, "one")
	e.assign(assignment{bundle: "web", revision: 1, atomic: true, objects: append(several(3, "one"), service)})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	p := problemOf(r, "/svc")
	if p == nil || p.Reason != "Forbidden" || !strings.Contains(p.Message, user) || !strings.Contains(p.Message, `cannot patch resource "services"`) {
		t.Errorf("problem: %v", p)
	}
	s.writtenAs(user)
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(3, "one"), service, foreign)})
	r = s.await("web", "what may be is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 3 && r.Objects.Failed == 2 })
	if p := problemOf(r, "default/foreign-"+e.ns); p == nil || p.Reason != "Forbidden" || !strings.Contains(p.Message, user) || !strings.Contains(p.Message, `in the namespace "default"`) {
		t.Errorf("problem: %v", p)
	}
	s.writtenAs(user)

	// A repair, an object made anew, and deletions.
	fixed := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed, annotations: {yardarm.dev/recreate: 'true'}}\nimmutable: true\ndata: {key: VALUE}"
	e.assign(assignment{bundle: "web", revision: 3, objects: append(several(2, "one"), strings.ReplaceAll(fixed, "VALUE", "one"))})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m2")
	uid := e.get("fixed").GetUID()
	e.assign(assignment{bundle: "web", revision: 4, objects: append(several(2, "one"), strings.ReplaceAll(fixed, "VALUE", "two"))})
	e.until("it is made anew", func() bool { o := e.get("fixed"); return o != nil && o.GetUID() != uid })
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	if methods := s.writtenAs(user); !slices.Contains(methods, "DELETE") || !slices.Contains(methods, "PATCH") {
		t.Errorf("written by %v", methods)
	}

	// A release, and a removal.
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_KEEP, true)
	e.until("web is finished", func() bool { return e.state.gone("web") })
	if labels := e.get("m0").GetLabels(); labels[yardarmv1.LabelBundle] != "" {
		t.Errorf("m0 is not released: %v", labels)
	}
	e.assign(assignment{bundle: "web", revision: 5, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("web is finished", func() bool { return e.state.gone("web") })
	e.want(false, "m0", "m1")
	if methods := s.writtenAs(user); len(methods) == 0 {
		t.Error("nothing was audited")
	}
}

// A bundle asks for a service account, and gets it only if the policy lets it.
func TestServiceAccountOfABundle(t *testing.T) {
	e := newEnv(t)
	account, user := e.deployer("deployer")
	e.policy.set("impersonation: {allow: ['" + e.ns + "/dep*']}")
	s := e.start()
	e.assign(
		assignment{bundle: "mine", revision: 1, objects: several(1, "one"), delivery: &yardarmv1.DeliveryPolicy{ServiceAccount: account}},
		assignment{bundle: "greedy", revision: 1, objects: []string{configMap("greedy", "one")}, delivery: &yardarmv1.DeliveryPolicy{ServiceAccount: "kube-system/admin"}},
	)
	s.awaitPhase("mine", yardarmv1.PhaseReady)
	r := s.awaitPhase("greedy", yardarmv1.PhaseFailed)
	if r.Reason != yardarmv1.ReasonPolicyDenied || !strings.Contains(r.Message, "kube-system/admin") || !strings.Contains(r.Message, "impersonation.allow") {
		t.Errorf("report: %v", r)
	}
	e.want(false, "greedy")
	s.writtenAs(user)

	// A policy that names another account for it is heeded at once, and leaves it no choice.
	e.policy.set("impersonation: {bundles: {mine: " + e.ns + "/other}}")
	r = s.await("mine", "denied", func(r *yardarmv1.Report) bool { return r.Reason == yardarmv1.ReasonPolicyDenied })
	if !strings.Contains(r.Message, "impersonation.bundles[mine]: "+e.ns+"/other") {
		t.Errorf("report: %v", r)
	}
	// What it has is left alone, and drift is not repaired by anybody.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	s.await("mine", "the drift is seen", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 0 })
	if got := value(e.get("m0")); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
}
