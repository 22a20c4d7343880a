package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// publishFlags say what is published, and where to.
type publishFlags struct {
	bundle  string
	groups  []string
	message string
	commit  string
	source  string
	rollout string
	render  renderFlags
	dryRun  bool
	// diff asks of a dry run what would change in the clusters.
	diff bool
	// trial says in which clusters it is tried; nil for none.
	trial   *hubv1.TrialRequest
	wait    bool
	waiting waitFlags
	output  string
}

func (a *app) publishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:   "publish DIR|CHART --bundle NAME",
		Short: "Publish a directory or a chart as a revision of a bundle",
		Long: `Publish the Kubernetes manifests in and below a directory as a new revision of a bundle. The bundle is made
if it does not exist. Its clusters get the revision by the bundle's strategy: where it has none, a canary
first, then until a tenth have it, then the rest; and all go back if it fails ('yardarm rollout --help').
--rollout all-at-once is the strategy for those who want none: every cluster gets each revision at once,
and keeps it, also where it fails. Other names are those of strategies ('yardarm get strategies'). It stays
the bundle's until another one is given.

Files that end in .yaml, .yml or .json count, except those that begin with a dot. A directory with a
kustomization.yaml is built first, and one with a Chart.yaml rendered, as 'yardarm render' shows; --plain
takes the files as they are. Publishing what the bundle runs already changes nothing, so it may be repeated:
it is the digest of the objects that counts, not how the files are laid out. Problems of an object name the
file that it was last published from. --to sets the groups that the bundle is for; without it they stay as
they are.

With --wait, it ends when it is known what has become of the revision, and -o json or yaml writes one document
then: what was published, and under "verdict" the word for what came of it, the exit code, a message, how
many clusters are ready, which ones are not, and why. -o junit writes a test case for the rollout and one for
each cluster, for the pages of a CI system. Both are written whatever comes of it. Without --wait, 0 means
that it is published, or unchanged.

` + exitHelp(),
		Example: `  yardarm publish ./web --bundle web --to prod,staging -m "new logo"

  # In a pipeline: wait until it is ready everywhere, fail if it is not
  yardarm publish ./web --bundle web --commit "$COMMIT" --wait --timeout 5m -o junit > yardarm.xml

  # A chart, with values
  yardarm publish ./charts/web --bundle web --values ./values/prod.yaml

  # Check it with the hub, and change nothing
  yardarm publish ./web --bundle web --dry-run`,
		Args: arguments(1, 1, "the directory to publish"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.publish(cmd.Context(), args[0], &f) },
	}
	cmd.Flags().StringVarP(&f.bundle, "bundle", "b", "", "the bundle to publish a revision of (required)")
	cmd.Flags().StringSliceVar(&f.groups, "to", nil, "clustergroups that the bundle is for from now on, separated by commas")
	cmd.Flags().StringVarP(&f.message, "message", "m", "", "what the revision is about")
	cmd.Flags().StringVar(&f.commit, "commit", "", "the commit that the manifests are from")
	cmd.Flags().StringVar(&f.source, "source", "", "where the manifests are from, such as a repository's address")
	cmd.Flags().StringVar(&f.rollout, "rollout", "", "how the bundle's revisions are rolled out from now on: default, all-at-once or the name of a strategy; by default as before")
	dryRunFlag(cmd, &f.dryRun)
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the revision is ready in all clusters")
	f.waiting.add(cmd)
	f.render.add(cmd)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML, formatName, formatJUnit)
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "rollout", a.completeNames(resource.Strategy))
	complete(cmd, "to", a.completeNames(resource.Group))
	return cmd
}

func (a *app) publish(ctx context.Context, dir string, f *publishFlags) error {
	if f.wait && f.dryRun {
		return usage("--wait and --dry-run do not go together")
	}
	if err := checkPublished(f.output, f.wait, &f.waiting); err != nil {
		return err
	}
	f.diff = f.dryRun
	resp, err := a.upload(ctx, dir, f)
	if rpc, ok := statusOf(err); ok && f.diff && rpc.Code() == codes.PermissionDenied {
		// Whoever may publish need not be allowed to see manifests.
		f.diff = false
		resp, err = a.upload(ctx, dir, f)
	}
	if err != nil {
		err = a.inFlags(err, publicationField, publicationFlags)
		if f.wait {
			return a.concluded(ctx, f.output, nil, func() (*readyWait, error) { return &readyWait{app: a, question: question{bundle: f.bundle}}, err })
		}
		return err
	}
	if resp.GetDiff() != nil && f.output == formatTable {
		for _, warning := range resp.GetWarnings() {
			a.warn("%s", warning)
		}
		return a.printDiff(resp)
	}
	return a.published(ctx, resp, f.output, f.dryRun, f.wait, f.waiting)
}

// upload sends a directory to the hub.
func (a *app) upload(ctx context.Context, dir string, f *publishFlags) (*hubv1.PublishRevisionResponse, error) {
	f.bundle = strings.TrimPrefix(f.bundle, resource.Bundle.Name+"/")
	if f.bundle == "" {
		return nil, usage("name the bundle: --bundle NAME")
	}
	if err := selector.ValidateName(f.bundle); err != nil {
		return nil, usage("--bundle: %s", err)
	}
	strategy, err := strategyOf(f.rollout)
	if err != nil {
		return nil, err
	}
	// The hub parses them too. Here it costs no upload, and tells more than one kind of mistake at once.
	rendered, set, err := a.rendered(ctx, dir, f.bundle, &f.render)
	if errors.Is(err, errNothing) {
		return nil, fmt.Errorf("%w; nothing was published", err)
	}
	if err != nil {
		return nil, err
	}
	files := rendered.Files
	hub, err := a.connect()
	if err != nil {
		return nil, err
	}
	publication := &hubv1.Publication{Bundle: f.bundle, DryRun: f.dryRun, Diff: f.diff, Trial: f.trial, Rollout: strategy,
		Provenance: &yardarmv1.Provenance{Message: f.message, Source: f.source, Commit: f.commit}}
	for _, group := range f.groups {
		if group = strings.TrimPrefix(strings.TrimSpace(group), resource.Group.Name+"/"); group != "" {
			publication.Groups = append(publication.Groups, group)
		}
	}
	l := a.newLine()
	defer l.clear()
	return hub.Publish(ctx, publication, files, func(sent, total int) {
		if a.io.ErrTerminal {
			l.set("%s in %s: %s of %s sent", plural(set.Len(), "object"), plural(len(files), "file"), size(uint64(sent)), size(uint64(total)))
		}
	})
}

// strategyOf is the strategy with a name, one of those that every hub has or one that somebody has made; nil for the one that the bundle has.
func strategyOf(name string) (*yardarmv1.RolloutStrategy, error) {
	switch name {
	case "":
		return nil, nil
	case yardarmv1.StrategyDefault:
		return &yardarmv1.RolloutStrategy{}, nil
	case yardarmv1.StrategyAllAtOnce:
		return &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "all", Concurrency: yardarmv1.ShareAll, FailureBudget: yardarmv1.ShareAll}}}, nil
	}
	if err := selector.ValidateName(name); err != nil {
		return nil, usage("--rollout: %s", err)
	}
	return &yardarmv1.RolloutStrategy{Strategy: name}, nil
}

// publicationField is how the hub names what the flags of publish say.
var publicationField = regexp.MustCompile(`\bpublication\.(?:provenance\.)?(bundle|groups|message|source|commit|rollout)(?:\[\d+\]|\.strategy)?`)

// publicationFlags are the flags whose names are not those of the fields.
var publicationFlags = map[string]string{"groups": "--to"}

// checkPublished refuses flags that make no sense together.
func checkPublished(output string, wait bool, waiting *waitFlags) error {
	if output == formatJUnit && !wait {
		return usage("-o %s goes with --wait: it tells what has become of a revision", output)
	}
	return waiting.check()
}

// published says what has become of a publication or an undo, and waits if that was asked for.
func (a *app) published(ctx context.Context, resp *hubv1.PublishRevisionResponse, output string, dryRun, wait bool, waiting waitFlags) error {
	for _, warning := range resp.GetWarnings() {
		a.warn("%s", warning)
	}
	switch {
	case output == formatTable:
		a.print("%s", publishedText(resp, dryRun))
		if err := a.printPlan(resp.GetPlan()); err != nil {
			return err
		}
	case output == formatName:
		a.print("%s", typeName(resp.GetRevision()))
	case !wait:
		return a.printMessage(output, resp)
	}
	if !wait {
		return nil
	}
	spec := resp.GetRevision().GetSpec()
	return a.concluded(ctx, output, resp, func() (*readyWait, error) { return a.waitReady(ctx, spec.GetBundle(), spec.GetNumber(), waiting) })
}

// publishedText is as in "bundle/web revision 3 sha256:… published (to 12 clusters)".
func publishedText(resp *hubv1.PublishRevisionResponse, dryRun bool) string {
	spec := resp.GetRevision().GetSpec()
	digest := spec.GetDigest()
	if len(spec.GetVariants()) > 0 {
		digest = revisionDigest(spec)
	}
	text := fmt.Sprintf("bundle/%s revision %d %s %s", spec.GetBundle(), spec.GetNumber(), digest, resp.GetOutcome())
	if resp.GetOutcome() == "published" {
		text += fmt.Sprintf(" (to %s)", plural(resp.GetClusters(), "cluster"))
	}
	if of := spec.GetProvenance().GetUndoOf(); of != 0 && resp.GetOutcome() == "published" {
		text += fmt.Sprintf(", with the content of revision %d", of)
	}
	return text + dryNote(dryRun)
}
