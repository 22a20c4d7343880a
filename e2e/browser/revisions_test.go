package browser

import (
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// poll is how often something is looked at that nobody tells of.
const poll = 50 * time.Millisecond

// What revisions tell: who has signed one, which variants it has and for whom; whom one has taken over from, how long its clusters took, who is away or new, and what
// the slow ones wait for. And what bindings and source credentials are for.
func TestRevisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--source-local")
	w.connect(fleetOf(12))
	w.connectLone("lone-1")
	w.followSigned()
	// One cluster is set aside while its stage passes.
	over := func(s *yardarmv1.RolloutStatus) bool { return s.Phase == yardarmv1.RolloutCompleted }
	w.publish("base", "test", "one")
	w.awaitRollout("base", over)
	w.do("freeze", "--cluster", "shop-0002")
	w.publish("base", "test", "two")
	w.awaitRollout("base", func(s *yardarmv1.RolloutStatus) bool { return over(s) && s.SettledRevision == 2 })
	w.do("unfreeze", "freeze-cluster-shop-0002")
	w.awaitRollout("base", func(s *yardarmv1.RolloutStatus) bool { return s.Late.GetClusters() == 1 })
	// One cluster fails with it and one goes on, so it does not come to its end.
	w.publish("web", "prod", "one")
	w.awaitRollout("web", func(s *yardarmv1.RolloutStatus) bool { return s.Pace.GetClusters() == 7 })
	// Not before the hub knows that it is away: as a canary it would be waited for.
	w.lone["lone-1"].Stop()
	w.awaitAway("lone-1")
	w.publishBy("web", "prod", "two", "{name: canary, clusters: 1, approval: after}, {name: rest, concurrency: 100%, failureBudget: 100%}")
	w.awaitRollout("web", func(s *yardarmv1.RolloutStatus) bool {
		return s.WaitsFor == yardarmv1.RolloutWaitApproval && s.Supersedes == 1
	})
	w.publish("web", "prod", "three")
	w.awaitRollout("web", func(s *yardarmv1.RolloutStatus) bool {
		return s.Supersedes == 2 && s.Pace.GetClusters() == 6 && s.Away.GetClusters() == 1
	})
	w.connect([]string{"late-1"})
	w.awaitRollout("web", func(s *yardarmv1.RolloutStatus) bool { return s.Joined.GetClusters() == 1 })
	w.do("apply", "-f", w.write("binding.yaml", `apiVersion: yardarm.dev/v1
kind: RoleBinding
metadata: {name: site-team}
spec:
  role: publisher
  subjects: [{kind: Group, name: 'corp:site'}]
  bundles: {names: [site], selector: {matchExpressions: [{key: team, operator: In, values: [shop, site]}]}}
  clusterGroups: {selector: {}}
`))
	w.run("revisions.spec.mjs")
}

// followSigned has the bundle site follow a repository whose commits are signed, in two variants.
func (w *world) followSigned() {
	w.t.Helper()
	repository := gittest.New(w.t)
	private, public := gittest.NewKey(w.t)
	repository.SignWith(private, "")
	settings := func(size string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: site, namespace: default}\ndata: {size: " + size + "}\n"
	}
	repository.Write("usual/settings.yaml", settings("usual"))
	repository.Commit("open the shop", "small/settings.yaml", settings("small"))
	server := gittest.Serve(repository, nil)
	w.do("credentials", "set", "site-repo", "--bundle", "site", "--bundle-selector", "team in (site)", "--url", server.URL,
		"--ca-file", w.write("git-ca.pem", string(server.CA)), "--username", "ci", "--password-file", w.write("git-password", "nobody looks at it\n"))
	bundle := &yardarmv1.Bundle{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindBundle, Metadata: &yardarmv1.ObjectMeta{Name: "site"},
		Spec: &yardarmv1.BundleSpec{
			Targets: []*yardarmv1.Target{{Group: "prod"}, {Group: "test", Variant: "small"}},
			Source: &yardarmv1.Source{
				From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{
					Url: server.Repo, Ref: &yardarmv1.GitRef{Branch: "main"}, Path: "usual", Credentials: "site-repo",
					Verify: &yardarmv1.GitVerification{Signers: []*yardarmv1.GitSigner{{Name: "Ada of the yard", Keys: []string{public}}}},
				}},
				Variants: []*yardarmv1.Variant{{Name: "small", Path: "../small"}},
			},
		},
	}
	_, err := w.client.Apply(w.ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: bundle}}}})
	w.must(err)
	for found := false; !found; time.Sleep(poll) {
		b, err := w.client.GetBundle(w.ctx, &hubv1.GetBundleRequest{Name: "site"})
		w.must(err)
		found = b.GetStatus().GetLatestRevision() > 0
	}
	w.awaitRollout("site", func(s *yardarmv1.RolloutStatus) bool { return s.Phase == yardarmv1.RolloutCompleted })
}
