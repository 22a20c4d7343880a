package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/artifact"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// askedBundles is how many bundles each cluster runs where people ask what would change, and what fails.
	askedBundles = 10
	// asks is how often each is asked.
	asks = 15
	// failingOf is of how many clusters one fails.
	failingOf = 10
)

// ask times what people ask before and during a rollout, of a hub with a database of many clusters, of which a tenth fails: what a publication would change,
// where each share of the clusters is customized in its own way, and what fails.
func ask(ctx context.Context, c Config, out *report.Rollout) (err error) {
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "asked"), Flags: append(slices.Clone(oneCaller), "--restart-grace", "1s")})
	if err != nil {
		return err
	}
	h := &hub{own: own}
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := own.Stop(); err != nil {
		return err
	}
	out.Failing = max(c.Clusters/failingOf, 1)
	if _, err := seed.Hub(ctx, own.DataDir(), seed.Fleet{Clusters: c.Clusters, Bundles: askedBundles, Failing: out.Failing}); err != nil {
		return fmt.Errorf("write the database: %w", err)
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	if out.DiffSeconds, err = diffTime(ctx, c, h.client); err != nil {
		return err
	}
	if out.Problems, err = problemsTime(ctx, c, h.client, out.Failing); err != nil {
		return err
	}
	c.say("asked of %d clusters: a diff took %.2f s, problems %.0f ms", c.Clusters, out.DiffSeconds, out.Problems)
	return nil
}

// diffTime is how long a diff takes, in seconds, the median.
func diffTime(ctx context.Context, c Config, hub *client.Client) (float64, error) {
	bundle := seed.BundleName(0)
	substitutes := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: bundle}, Spec: &yardarmv1.BundleSpec{
		Targets: []*yardarmv1.Target{{Group: seed.GroupAll}}, Customization: &yardarmv1.Customization{Substitute: true}}}
	if _, err := hub.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: substitutes}}}}); err != nil {
		return 0, err
	}
	share := manifest.File{Path: "share.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: share}\ndata: {share: \"${labels.share}\"}\n")}
	var took []time.Duration
	for n := range asks {
		began := time.Now()
		answer, err := hub.Publish(ctx, &hubv1.Publication{Bundle: bundle, DryRun: true, Diff: true},
			[]manifest.File{{Path: "app.yaml", Data: artifact.Manifests(0, artifactSize, 2000+n)}, share}, nil)
		if err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
		clusters := uint32(0)
		for _, p := range answer.GetDiff().GetParts() {
			clusters += p.GetClusters()
		}
		if int(clusters) != c.Clusters || answer.GetDiff().GetNotCompared() > 0 {
			return 0, fmt.Errorf("a diff is about %d clusters, and %d were not compared", clusters, answer.GetDiff().GetNotCompared())
		}
	}
	return measure.Percentile(took, 0.5).Seconds(), nil
}

// problemsTime is how long the list of problems takes, in milliseconds, the median, each after a change.
func problemsTime(ctx context.Context, c Config, hub *client.Client, failing int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var took []time.Duration
	for i := 0; len(took) < asks; i++ {
		if err := touch(ctx, hub, i%c.Clusters); err != nil {
			return 0, err
		}
		began := time.Now()
		answer, err := hub.ListProblems(ctx, &hubv1.ListProblemsRequest{})
		if err != nil {
			return 0, fmt.Errorf("ask until %d clusters are told to fail: %w", failing, err)
		}
		found := 0
		for _, p := range answer.GetProblems() {
			found += int(p.GetClusters() + p.GetUnheardClusters())
		}
		if found >= failing { // not before the hub has given up to wait for their spokes
			took = append(took, time.Since(began))
		}
	}
	return measure.Milliseconds(measure.Percentile(took, 0.5)), nil
}
