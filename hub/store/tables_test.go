package store

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestTables puts, replaces, reads, reopens and deletes a row in every table that is on disk.
func TestTables(t *testing.T) {
	for _, test := range []struct {
		table  Table
		put    func(*Tx, string) error // with a text that tells versions apart
		get    func(*ReadTx) (string, bool)
		all    func(*ReadTx) int
		delete func(*Tx) error
	}{
		{Clusters,
			func(tx *Tx, v string) error {
				return tx.PutCluster(cluster("c1", "one", map[string]string{"v": v}))
			},
			func(tx *ReadTx) (string, bool) {
				c := tx.Cluster("c1")
				if tx.ClusterByName("one") != c {
					t.Error("the name finds another cluster than the uid")
				}
				return c.GetMetadata().GetLabels()["v"], c != nil
			},
			func(tx *ReadTx) int { return count(tx.Clusters()) },
			func(tx *Tx) error { return tx.DeleteCluster("c1") }},
		{Groups,
			func(tx *Tx, v string) error { return tx.PutGroup(group("g", map[string]string{"v": v})) },
			func(tx *ReadTx) (string, bool) {
				g := tx.Group("g")
				return g.GetSpec().GetSelector().GetMatchLabels()["v"], g != nil
			},
			func(tx *ReadTx) int { return count(tx.Groups()) },
			func(tx *Tx) error { return tx.DeleteGroup("g") }},
		{Bundles,
			func(tx *Tx, v string) error { return tx.PutBundle(bundle("b1", "web", v)) },
			func(tx *ReadTx) (string, bool) {
				b := tx.Bundle("b1")
				if tx.BundleByName("web") != b {
					t.Error("the name finds another bundle than the uid")
				}
				return strings.Join(targetsOf(b), ","), b != nil
			},
			func(tx *ReadTx) int { return count(tx.Bundles()) },
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{Revisions,
			func(tx *Tx, v string) error { return tx.PutRevision(revision("b1", 7, v)) },
			func(tx *ReadTx) (string, bool) {
				r := tx.Revision("b1", 7)
				return r.GetSpec().GetDigest(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Revisions("b1")) },
			func(tx *Tx) error { return tx.DeleteRevision("b1", 7) }},
		{Artifacts,
			func(tx *Tx, v string) error {
				return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a", Objects: []string{v}}, []byte(v))
			},
			func(tx *ReadTx) (string, bool) {
				a := tx.Artifact("sha256:a")
				return strings.Join(a.GetObjects(), ","), a != nil
			},
			func(tx *ReadTx) int { return count(tx.Artifacts()) },
			func(tx *Tx) error { return tx.DeleteArtifact("sha256:a") }},
		{Identities,
			func(tx *Tx, v string) error {
				return tx.PutIdentity(&storev1.Identity{ClusterUid: "c1", KubeUid: v})
			},
			func(tx *ReadTx) (string, bool) {
				i := tx.Identity("c1")
				return i.GetKubeUid(), i != nil
			}, nil, nil},
		{Tokens,
			func(tx *Tx, v string) error {
				return tx.PutToken(&storev1.EnrolmentToken{Id: "t", Cluster: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.Token("t")
				return r.GetCluster(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Tokens()) },
			func(tx *Tx) error { return tx.DeleteToken("t") }},
		{Credentials,
			func(tx *Tx, v string) error { return tx.PutCredential(&storev1.Credential{Id: "c", Name: v}) },
			func(tx *ReadTx) (string, bool) {
				r := tx.Credential("c")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Credentials()) },
			func(tx *Tx) error { return tx.DeleteCredential("c") }},
		{CredentialUses,
			func(tx *Tx, v string) error {
				return errors.Join(tx.PutCredential(&storev1.Credential{Id: "u", Name: "u"}),
					tx.PutCredentialUse(&storev1.CredentialUse{Id: "u", Time: &timestamppb.Timestamp{Seconds: int64(len(v)), Nanos: int32(v[0])}}),
					tx.PutCredentialUse(&storev1.CredentialUse{Id: "nobody"}))
			},
			func(tx *ReadTx) (string, bool) {
				u := tx.CredentialUse("u")
				if tx.CredentialUse("nobody") != nil {
					t.Error("a credential that there is not has been used")
				}
				if u == nil {
					return "", false
				}
				return map[int32]string{'o': "one", 't': "two"}[u.Time.Nanos], true
			},
			func(tx *ReadTx) int { return count(credentialUses.scan(tx, idIndex, "")) },
			func(tx *Tx) error { return tx.DeleteCredential("u") }},
		{Secrets,
			func(tx *Tx, v string) error {
				return tx.PutSecret(&storev1.SealedSecret{Name: "s", Nonce: []byte(v)})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.Secret("s")
				return string(r.GetNonce()), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Secrets()) },
			func(tx *Tx) error { return tx.DeleteSecret("s") }},
		{Answers,
			func(tx *Tx, v string) error {
				return tx.PutAnswer(&storev1.Answer{Key: "a/k", Request: []byte(v), Expires: &timestamppb.Timestamp{Seconds: 7}})
			},
			func(tx *ReadTx) (string, bool) {
				a := tx.Answer("a/k")
				return string(a.GetRequest()), a != nil
			},
			func(tx *ReadTx) int { return count(tx.Answers()) },
			func(tx *Tx) error { return tx.DeleteAnswer("a/k") }},
		{Roles,
			func(tx *Tx, v string) error {
				return tx.PutRole(&yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RoleSpec{Description: v}})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.Role("r")
				return r.GetSpec().GetDescription(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Roles()) },
			func(tx *Tx) error { return tx.DeleteRole("r") }},
		{RoleBindings,
			func(tx *Tx, v string) error {
				return tx.PutRoleBinding(&yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: "b"}, Spec: &yardarmv1.RoleBindingSpec{
					Role: v, Subjects: []*yardarmv1.Subject{{Kind: "User", Name: "a/b"}}}})
			},
			func(tx *ReadTx) (string, bool) {
				b := tx.RoleBinding("b")
				role := b.GetSpec().GetRole()
				if b != nil && (count(tx.RoleBindingsOf("User", "a/b")) != 1 || count(tx.RoleBindingsOf("User", "a")) != 0 || count(tx.RoleBindingsTo(role)) != 1) {
					t.Error("the binding is not found by its subject and its role, and by those alone")
				}
				return role, b != nil
			},
			func(tx *ReadTx) int { return count(tx.RoleBindings()) },
			func(tx *Tx) error { return tx.DeleteRoleBinding("b") }},
		{Gates,
			func(tx *Tx, v string) error {
				return tx.PutGate(&yardarmv1.Gate{Metadata: &yardarmv1.ObjectMeta{Name: "g"}, Spec: &yardarmv1.GateSpec{Reason: v}})
			},
			func(tx *ReadTx) (string, bool) {
				g := tx.Gate("g")
				return g.GetSpec().GetReason(), g != nil
			},
			func(tx *ReadTx) int { return count(tx.Gates()) },
			func(tx *Tx) error { return tx.DeleteGate("g") }},
		{Notifications,
			func(tx *Tx, v string) error {
				return tx.PutNotification(&storev1.Notification{Notification: &yardarmv1.Notification{Metadata: &yardarmv1.ObjectMeta{Name: "n", Uid: "n1"}}, Host: v})
			},
			func(tx *ReadTx) (string, bool) {
				n := tx.Notification("n")
				return n.GetHost(), n != nil
			},
			func(tx *ReadTx) int { return count(tx.Notifications()) },
			func(tx *Tx) error { return tx.DeleteNotification("n") }},
		{Strategies,
			func(tx *Tx, v string) error {
				return tx.PutStrategy(&yardarmv1.Strategy{Metadata: &yardarmv1.ObjectMeta{Name: "s"}, Spec: &yardarmv1.RolloutStrategy{OnFailure: v}})
			},
			func(tx *ReadTx) (string, bool) {
				s := tx.Strategy("s")
				return s.GetSpec().GetOnFailure(), s != nil
			},
			func(tx *ReadTx) int { return count(tx.Strategies()) },
			func(tx *Tx) error { return tx.DeleteStrategy("s") }},
		{SourceCredentials,
			func(tx *Tx, v string) error {
				return tx.PutSourceCredentials(&storev1.SourceCredentials{Credentials: &yardarmv1.SourceCredentials{Metadata: &yardarmv1.ObjectMeta{Name: "s", Uid: v}}})
			},
			func(tx *ReadTx) (string, bool) {
				s := tx.SourceCredentials("s")
				return s.GetCredentials().GetMetadata().GetUid(), s != nil
			},
			func(tx *ReadTx) int { return count(tx.AllSourceCredentials()) },
			func(tx *Tx) error { return tx.DeleteSourceCredentials("s") }},
		{Tolds,
			func(tx *Tx, v string) error {
				return tx.PutTold(&storev1.Told{NotificationUid: "n1", Subject: "rollout/b1", Events: []string{v}})
			},
			func(tx *ReadTx) (string, bool) {
				told := tx.Told("n1", "rollout/b1")
				return strings.Join(told.GetEvents(), ""), told != nil
			},
			func(tx *ReadTx) int { return count(tx.ToldOf("n1")) },
			func(tx *Tx) error { return tx.DeleteTold("n1", "rollout/b1") }},
		{DeletedBundles,
			func(tx *Tx, v string) error {
				return tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: "b", Name: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.DeletedBundle("b")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.DeletedBundles()) },
			func(tx *Tx) error { return tx.DeleteDeletedBundle("b") }},
		{DeletedClusters,
			func(tx *Tx, v string) error {
				return tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: "c", Name: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.DeletedCluster("c")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.DeletedClusters()) },
			func(tx *Tx) error { return tx.DeleteDeletedCluster("c") }},
		{Acceptances,
			func(tx *Tx, v string) error {
				return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b", HoldingHash: []byte("h"), Actor: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := first(tx.Acceptances("c", "b"))
				return r.GetActor(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Acceptances("c", "b")) },
			func(tx *Tx) error { return tx.DeleteAcceptances("c", "b") }},
		{Rollouts,
			func(tx *Tx, v string) error {
				return errors.Join(tx.PutBundle(bundle("b1", "web")), tx.PutRollout(&storev1.Rollout{BundleUid: "b1", Settled: 3, Failure: v}))
			},
			func(tx *ReadTx) (string, bool) {
				if settled, ok := tx.Settled("b1"); ok && settled != 3 {
					t.Errorf("settled %d", settled)
				}
				return tx.Rollout("b1").GetFailure(), tx.Rollout("b1") != nil
			},
			func(tx *ReadTx) int { return count(tx.Rollouts()) },
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{RolloutMembers,
			func(tx *Tx, v string) error {
				return errors.Join(tx.PutBundle(bundle("b1", "web")), tx.PutRollout(&storev1.Rollout{BundleUid: "b1", Chunks: 1}),
					tx.PutRolloutMembers("b1", 0, []RolloutMember{{UID: "c2", Runs: 7}, {UID: "c1", Runs: map[string]uint32{"one": 1, "two": 2}[v], State: 1, Stage: 2, From: 3, Good: 4, Prior: true, Joined: true, Place: 5, Since: 6, Took: 7}}))
			},
			func(tx *ReadTx) (string, bool) {
				m, ok := tx.RolloutMember("b1", "c1")
				if ok && m != (RolloutMember{UID: "c1", Runs: m.Runs, State: 1, Stage: 2, From: 3, Good: 4, Prior: true, Joined: true, Place: 5, Since: 6, Took: 7}) {
					t.Errorf("member %+v", m)
				}
				return []string{"", "one", "two"}[m.Runs], ok
			},
			func(tx *ReadTx) int { return count(tx.RolloutMembers("b1")) / 2 },
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{Turns,
			func(tx *Tx, v string) error {
				return errors.Join(tx.PutBundle(bundle("b1", "web")), tx.PutRollout(&storev1.Rollout{BundleUid: "b1"}), tx.TakeTurn(first(tx.TurnsOf("b1"))),
					tx.putTurn(&storev1.Turn{BundleUid: "b1", ClusterUid: v}))
			},
			func(tx *ReadTx) (string, bool) {
				r := first(tx.TurnsOf("b1"))
				return r.GetClusterUid(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.TurnsOf("b1")) },
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{Reconciliations,
			func(tx *Tx, _ string) error {
				return errors.Join(tx.PutBundle(bundle("b1", "web")), tx.AddReconciliation("", "b1"))
			},
			func(tx *ReadTx) (string, bool) {
				n := tx.Reconciliations("c1", "b1")
				return []string{"", "one", "two"}[n], n > 0
			}, nil,
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{Observed,
			func(tx *Tx, v string) error {
				if tx.Cluster("c1") == nil {
					if err := tx.PutCluster(cluster("c1", "one", nil)); err != nil {
						return err
					}
				}
				return tx.PutObserved(&storev1.Observed{ClusterUid: "c1", SpokeVersion: v})
			},
			func(tx *ReadTx) (string, bool) {
				o := tx.Observed("c1")
				return o.GetSpokeVersion(), o != nil
			},
			func(tx *ReadTx) int { return count(tx.AllObserved()) },
			func(tx *Tx) error { return tx.DeleteCluster("c1") }},
		{ObservedBundles,
			func(tx *Tx, v string) error {
				if tx.Cluster("c1") == nil {
					if err := tx.PutCluster(cluster("c1", "one", nil)); err != nil {
						return err
					}
				}
				return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c1", Report: &yardarmv1.Report{BundleUid: "b1", Phase: v}})
			},
			func(tx *ReadTx) (string, bool) {
				o := tx.ObservedBundle("c1", "b1")
				if first(tx.ObservedOfBundle("b1")) != o {
					t.Error("the bundle finds another report than the cluster")
				}
				return o.GetReport().GetPhase(), o != nil
			},
			func(tx *ReadTx) int { return count(tx.ObservedBundles("c1")) },
			func(tx *Tx) error { return tx.DeleteObservedBundle("c1", "b1") }},
		{Events,
			func(tx *Tx, v string) error {
				return tx.AddEvent(&yardarmv1.Event{Reason: v})
			},
			func(tx *ReadTx) (string, bool) {
				var last *yardarmv1.Event
				for e := range tx.Events(0) {
					last = e
				}
				return last.GetReason(), last != nil
			}, nil, nil},
	} {
		t.Run(test.table.String(), func(t *testing.T) {
			s := opened(t, Config{})
			want := func(text string, there bool) {
				t.Helper()
				tx := s.Read()
				if got, ok := test.get(tx); got != text || ok != there {
					t.Fatalf("got %q, %v; want %q, %v", got, ok, text, there)
				}
				if n := map[bool]int{true: 1}[there]; test.all != nil && test.all(tx) != n {
					t.Fatalf("the list has %d rows, want %d", test.all(tx), n)
				}
			}
			want("", false)
			if test.delete != nil {
				update(t, s, test.delete) // of nothing
			}
			update(t, s, func(tx *Tx) error { return test.put(tx, "one") })
			want("one", true)
			update(t, s, func(tx *Tx) error { return test.put(tx, "two") })
			want("two", true)
			s = reopened(t, s)
			want("two", true)
			if test.delete == nil {
				return
			}
			before := s.metrics.counts[test.table].Load()
			update(t, s, test.delete)
			want("", false)
			if after := s.metrics.counts[test.table].Load(); after != before-1 {
				t.Errorf("%d rows are counted after the deletion, %d before", after, before)
			}
			s = reopened(t, s)
			want("", false)
		})
	}
}

func count[R any](seq func(func(R) bool)) int {
	n := 0
	for range seq {
		n++
	}
	return n
}

func TestOrder(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		for i, name := range []string{"b", "c", "a"} {
			uid := string(rune('z' - i))
			if err := errors.Join(tx.PutCluster(cluster(uid, name, nil)), tx.PutGroup(group(name, nil)), tx.PutBundle(bundle(uid, name))); err != nil {
				return err
			}
		}
		for _, n := range []uint32{9, 10, 100, 1} {
			if err := errors.Join(tx.PutRevision(revision("z", n, "d")), tx.PutRevision(revision("zz", n, "e"))); err != nil {
				return err
			}
		}
		return nil
	})
	tx := s.Read()
	var clusters, groups, bundles, from []string
	for c := range tx.Clusters() {
		clusters = append(clusters, c.Metadata.Name)
	}
	for g := range tx.Groups() {
		groups = append(groups, g.Metadata.Name)
	}
	for b := range tx.Bundles() {
		bundles = append(bundles, b.Metadata.Name)
	}
	for c := range tx.ClustersFrom("aa") {
		from = append(from, c.Metadata.Name)
	}
	var numbers []uint32
	for r := range tx.Revisions("z") {
		if r.Spec.BundleUid != "z" {
			t.Errorf("the revisions of z have one of %s", r.Spec.BundleUid)
		}
		numbers = append(numbers, r.Spec.Number)
	}
	for name, got := range map[string][]string{"clusters": clusters, "groups": groups, "bundles": bundles} {
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s come as %v", name, got)
		}
	}
	if !slices.Equal(from, []string{"b", "c"}) {
		t.Errorf("clusters from aa come as %v", from)
	}
	if !slices.Equal(numbers, []uint32{100, 10, 9, 1}) {
		t.Errorf("revisions come as %v", numbers)
	}
	if n := count(tx.RevisionsWith("e")); n != 4 {
		t.Errorf("%d revisions name the artifact, want 4", n)
	}
}

func TestSnapshotsStay(t *testing.T) {
	s := opened(t, Config{})
	index := update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c1", "one", map[string]string{"v": "1"})) })
	before := s.Read()
	next := update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") })
	if before.Index() != index || before.Cluster("c1") == nil {
		t.Error("a snapshot has changed")
	}
	if now := s.Read(); now.Index() != next || now.Cluster("c1") != nil {
		t.Error("a new snapshot is old")
	}
}

func TestResourceVersions(t *testing.T) {
	s := opened(t, Config{})
	seen := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			row := cluster("c"+string(rune('0'+i)), "n"+string(rune('0'+i)), nil)
			index := update(t, s, func(tx *Tx) error {
				if tx.Index() != tx.ReadTx.Index() {
					t.Error("a transaction has two indexes")
				}
				return tx.PutCluster(row)
			})
			mu.Lock()
			defer mu.Unlock()
			version := s.Read().Cluster(row.Metadata.Uid).Metadata.ResourceVersion
			if want := strconv.FormatUint(index, 10); version != want || seen[version] {
				t.Errorf("version %s of update %s, seen before: %v", version, want, seen[version])
			}
			seen[version] = true
		})
	}
	wg.Wait()
	if index := s.Read().Index(); index != 64 {
		t.Errorf("64 updates lead to index %d", index)
	}
	if index := update(t, s, func(*Tx) error { return nil }); index != 64 {
		t.Errorf("an update that writes nothing has index %d, want the newest, 64", index)
	}
	if index := s.Read().Index(); index != 64 {
		t.Errorf("an update that writes nothing leads to index %d", index)
	}
	s = reopened(t, s)
	if index := update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c0") }); index != 65 {
		t.Errorf("the first update after a restart has index %d, want 65", index)
	}
}

func TestContent(t *testing.T) {
	s := opened(t, Config{})
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent content: %v", err)
	}
	large := make([]byte, 3<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	update(t, s, func(tx *Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a"}, large) })
	s = reopened(t, s)
	got, err := s.Content("sha256:a")
	if err != nil || !slices.Equal(got, large) {
		t.Fatalf("content has %d bytes, %v; want %d", len(got), err, len(large))
	}
	// Without content, what is there stays.
	update(t, s, func(tx *Tx) error {
		return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a", Objects: []string{"x"}}, nil)
	})
	if got, err := s.Content("sha256:a"); err != nil || len(got) != len(large) {
		t.Errorf("content has %d bytes, %v, after its description has changed", len(got), err)
	}
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:b"}, nil) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("an artifact without content: %v", err)
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteArtifact("sha256:a") })
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted content: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrClosed) {
		t.Errorf("content of a closed store: %v", err)
	}
}

func TestAcceptancesOfOneBundle(t *testing.T) {
	s := opened(t, Config{})
	accept := func(change func(*storev1.Acceptance)) func(*Tx) error {
		a := &storev1.Acceptance{ClusterUid: "c", BundleUid: "b"}
		change(a)
		return func(tx *Tx) error { return tx.PutAcceptance(a) }
	}
	for range 2 { // accepting again adds nothing
		update(t, s, accept(func(a *storev1.Acceptance) { a.HoldingHash = []byte{1} }))
		update(t, s, accept(func(a *storev1.Acceptance) { a.Deletion = &yardarmv1.AcceptedDeletion{FromDigest: "x", ToDigest: "y"} }))
		update(t, s, accept(func(a *storev1.Acceptance) { a.Deletion = &yardarmv1.AcceptedDeletion{FromDigest: "x"} }))
	}
	if n := count(s.Read().Acceptances("c", "b")); n != 3 {
		t.Errorf("there are %d acceptances, want 3", n)
	}
	if _, err := s.Update(t.Context(), accept(func(*storev1.Acceptance) {})); err == nil {
		t.Error("an acceptance of nothing is stored")
	}
}
