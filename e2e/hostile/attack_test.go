package hostile

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/cluster/clustertest"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// What the hub is for, in this cluster.
const lease = "namespaces: {allow: [team-a]}\nimpersonation: {}\n"

func configMap(namespace, name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: %s, name: %s}\ndata: {key: one}\n---\n", namespace, name)
}

const binding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: evil}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: mallory}]`

// bomb is zstd that expands to size zeros.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

func TestHostileHub(t *testing.T) {
	c := clustertest.Start(t, cluster.Spec{Name: "victim"}).Cluster("victim")
	h := newHub(t)
	v := attacked(t, c, h, lease)
	// What an honest hub is for works: the attacks fail for what they are.
	if err := v.makeNamespace("team-a"); err != nil {
		t.Fatal(err)
	}
	var objects strings.Builder
	for i := range 8 {
		objects.WriteString(configMap("team-a", fmt.Sprintf("m%d", i)))
	}
	web := h.deliver("web", objects.String(), nil)
	h.reported(t, web, "web is ready", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseReady })
	before := v.settled()

	denied := func(rule string) func(*yardarmv1.Report) bool {
		return func(r *yardarmv1.Report) bool {
			return r.Phase == yardarmv1.PhaseFailed && r.Reason == yardarmv1.ReasonPolicyDenied && strings.Contains(r.Message, rule)
		}
	}
	held := func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseHeld && r.Reason == yardarmv1.ReasonMassDeletion
	}
	// Each attack ends when the spoke has told what it made of it.
	for _, attack := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"a binding to cluster-admin", func(t *testing.T) {
			h.reported(t, h.deliver("evil-binding", binding, nil), "denied", denied("clusterScoped: deny"))
		}},
		{"a foreign namespace", func(t *testing.T) {
			h.reported(t, h.deliver("evil-namespace", configMap("kube-system", "evil"), nil), "denied", denied("namespaces.allow: has no kube-system"))
		}},
		{"a foreign namespace, by default", func(t *testing.T) {
			a := h.deliver("evil-default", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}", func(a *yardarmv1.AssignmentSpec) { a.Delivery.Namespace = "kube-system" })
			h.reported(t, a, "denied", denied("namespaces.allow: has no kube-system"))
		}},
		{"a namespace that is a path", func(t *testing.T) {
			a := h.deliver("evil-path", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}", func(a *yardarmv1.AssignmentSpec) { a.Delivery.Namespace = "team-a/../kube-system" })
			h.reported(t, a, "denied", denied("built in: "))
		}},
		{"the spoke's own identity", func(t *testing.T) {
			text := "apiVersion: v1\nkind: Secret\nmetadata: {namespace: " + own + ", name: yardarm-identity}\ndata: {}"
			h.reported(t, h.deliver("evil-identity", text, nil), "denied", denied("built in: "))
		}},
		{"another service account", func(t *testing.T) {
			a := h.deliver("evil-account", configMap("team-a", "evil"), func(a *yardarmv1.AssignmentSpec) { a.Delivery.ServiceAccount = "kube-system/default" })
			h.reported(t, a, "denied", denied("impersonation.allow"))
		}},
		{"patches that escape their object", func(t *testing.T) {
			for i, patch := range []string{
				`[{"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}]`,
				`[{"op": "replace", "path": "/kind", "value": "Secret"}]`,
				`[{"op": "replace", "path": "", "value": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "evil"}}}]`,
				`{"metadata": {"name": "m0"}, "data": {"key": "evil"}}`,
				`{"$patch": "delete"}`,
			} {
				a := h.deliver(fmt.Sprintf("evil-patch-%d", i), configMap("team-a", "evil"), func(a *yardarmv1.AssignmentSpec) {
					a.Customization = &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap"}, Patch: patch}}}
				})
				r := h.reported(t, a, "the patch is refused", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseFailed })
				if r.Objects.GetApplied() != 0 {
					t.Errorf("%s: %v", patch, r)
				}
			}
		}},
		{"nothing instead of eight objects", func(t *testing.T) {
			h.reported(t, h.deliver("web", "", nil), "held", held)
		}},
		{"a removal that nobody accepted", func(t *testing.T) {
			h.send(nil, assign(web))
			h.reported(t, web, "web is back", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseReady })
			h.send(nil, &spokev1.Change{BaseHash: web.Hash, Change: &spokev1.Change_Remove{Remove: &spokev1.Tombstone{
				Bundle: "web", BundleUid: web.BundleUid, Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, Reason: yardarmv1.ReasonBundleDeleted,
			}}})
			h.reported(t, web, "held", held)
		}},
		{"an older cursor", func(t *testing.T) {
			n, _ := h.sessions()
			evil := set(t, configMap("team-a", "evil"))
			a := h.assignment("evil-cursor", manifest.DigestOf(evil).String(), len(evil), nil)
			h.tell(&spokev1.Delta{Cursor: &spokev1.Cursor{Epoch: bytes.Repeat([]byte{1}, 16), Index: 1}, Changes: []*spokev1.Change{assign(a)}, Contents: []*spokev1.Content{whole(evil)}})
			eventually(t, "the spoke ends the session, and comes back where it was", func() bool {
				now, hello := h.sessions()
				return now > n && hello.Cursor.GetIndex() == h.index
			}, func() any { _, hello := h.sessions(); return hello })
		}},
		{"an epoch of the past", func(t *testing.T) {
			n, _ := h.sessions()
			h.tell(&spokev1.Delta{Cursor: &spokev1.Cursor{Epoch: make([]byte, 16), Index: 1 << 60}, Changes: []*spokev1.Change{{BaseHash: web.Hash, Change: &spokev1.Change_Remove{
				Remove: &spokev1.Tombstone{Bundle: "web", BundleUid: web.BundleUid, Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, Accepted: true},
			}}}})
			eventually(t, "the spoke ends the session", func() bool { now, _ := h.sessions(); return now > n }, func() any { return n })
		}},
		{"a wrong digest", func(t *testing.T) {
			evil := set(t, configMap("team-a", "evil"))
			digest := digestOf("something else")
			h.send([]*spokev1.Content{{Digest: digest, Size: uint64(len(evil)), Data: manifest.Compress(evil)}}, assign(h.assignment("evil-digest", digest, len(evil), nil)))
			h.refused(t, digest, spokev1.NackCode_NACK_CODE_WRONG_DIGEST)
		}},
		{"a wrong digest, fetched", func(t *testing.T) {
			evil := set(t, configMap("team-a", "evil"))
			digest := digestOf("something else again")
			encoded := manifest.Compress(evil)
			h.serve(digest, content{encodedSize: uint64(len(encoded)), size: uint64(len(evil)), data: encoded})
			h.send(nil, assign(h.assignment("evil-fetched", digest, len(evil), nil)))
			h.refused(t, digest, spokev1.NackCode_NACK_CODE_WRONG_DIGEST)
		}},
		{"decompression bombs", func(t *testing.T) {
			const size = 256 << 20
			data := bomb(t, size)
			small := digestOf("a small one")
			fetched := digestOf("a fetched one")
			large := digestOf("one that says so")
			h.serve(fetched, content{encodedSize: uint64(len(data)), size: 1 << 20, data: data})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h.send([]*spokev1.Content{{Digest: small, Size: 1000, Data: data}, {Digest: large, Size: size, Data: data}},
				assign(h.assignment("evil-small", small, 1000, nil)), assign(h.assignment("evil-fetched-bomb", fetched, 1<<20, nil)), assign(h.assignment("evil-large", large, size, nil)))
			h.refused(t, small, spokev1.NackCode_NACK_CODE_WRONG_DIGEST)
			h.refused(t, large, spokev1.NackCode_NACK_CODE_UNSUPPORTED)
			h.refused(t, "uid-evil-large", spokev1.NackCode_NACK_CODE_UNSUPPORTED)
			h.refused(t, fetched, spokev1.NackCode_NACK_CODE_WRONG_DIGEST)
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 256<<20 {
				t.Errorf("%d MiB were allocated for it", grown>>20)
			}
		}},
		{"absurd sizes", func(t *testing.T) {
			digest := digestOf("vast")
			h.send(nil, assign(h.assignment("evil-vast", digest, 0, func(a *yardarmv1.AssignmentSpec) { a.Size = 1<<64 - 1 })))
			h.refused(t, "uid-evil-vast", spokev1.NackCode_NACK_CODE_UNSUPPORTED)

			announced := digestOf("announced")
			h.serve(announced, content{encodedSize: 1 << 62, size: 1000, data: []byte("x")})
			h.send(nil, assign(h.assignment("evil-announced", announced, 1000, nil)))
			h.refused(t, announced, spokev1.NackCode_NACK_CODE_WRONG_DIGEST)

			long := strings.Repeat("x", 1<<20)
			h.send(nil, assign(h.assignment(long, digest, 1000, nil)))
			h.refused(t, "uid-"+long, spokev1.NackCode_NACK_CODE_INVALID)

			n, _ := h.sessions()
			h.send([]*spokev1.Content{{Digest: digest, Size: 1000, Data: bytes.Repeat([]byte{1}, 32<<20)}})
			eventually(t, "the spoke ends the session over a message of 32 MiB", func() bool { now, _ := h.sessions(); return now > n }, func() any { return n })
		}},
		{"an assignment that is not what its hash says", func(t *testing.T) {
			evil := set(t, configMap("team-a", "evil"))
			a := h.assignment("evil-hash", manifest.DigestOf(evil).String(), len(evil), nil)
			a = proto.CloneOf(a)
			a.Delivery.Namespace = "team-a"
			h.send([]*spokev1.Content{whole(evil)}, assign(a))
			h.refused(t, "uid-evil-hash", spokev1.NackCode_NACK_CODE_UNSUPPORTED)
		}},
	} {
		t.Run(attack.name, func(t *testing.T) {
			attack.run(t)
			v.unchanged(t, before)
		})
	}
	// After all that, the spoke still does what it is for.
	last := h.deliver("after", configMap("team-a", "after"), nil)
	h.reported(t, last, "the next bundle is ready", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseReady })
}
