package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// trialFlags say in which clusters a revision is tried.
type trialFlags struct {
	serverSide bool
	clusters   []string
	group      string
	selector   string
	timeout    time.Duration
}

func (f *trialFlags) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.serverSide, "server-side", false, "have clusters try it on their API servers, too")
	flags.StringSliceVar(&f.clusters, "cluster", nil, "with --server-side: only these clusters, separated by commas")
	flags.StringVar(&f.group, "group", "", "with --server-side: only clusters of this group")
	flags.StringVarP(&f.selector, "selector", "l", "", "with --server-side: only clusters with these labels, as in env=prod,region in (eu,us)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "with --server-side: how long clusters may take")
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	complete(cmd, "group", a.completeNames(resource.Group))
}

// request is nil where nothing is to be tried.
func (f *trialFlags) request() (*hubv1.TrialRequest, error) {
	if !f.serverSide {
		if len(f.clusters) > 0 || f.group != "" || f.selector != "" {
			return nil, usage("--cluster, --group and -l say which clusters are to try it: they go with --server-side")
		}
		return nil, nil
	}
	out := &hubv1.TrialRequest{Selector: f.selector, Group: strings.TrimPrefix(f.group, resource.Group.Name+"/"), Timeout: durationpb.New(f.timeout)}
	for _, name := range f.clusters {
		if name = strings.TrimPrefix(strings.TrimSpace(name), resource.Cluster.Name+"/"); name != "" {
			out.Clusters = append(out.Clusters, name)
		}
	}
	return out, nil
}

// unasked are the reasons of those that say nothing of the revision.
var unasked = []string{yardarmv1.TrialNotConnected, yardarmv1.TrialNotTargeted, yardarmv1.TrialSpokeTooOld, yardarmv1.TrialNotAnswered, yardarmv1.TrialBusy,
	yardarmv1.TrialNotFetched, "Unavailable"}

// trialCode is how a command ends that had a revision tried: with an error where it would fail in some cluster, or where none could say.
func trialCode(t *hubv1.Trial) int {
	code, answered := ExitYes, false
	for _, p := range t.GetParts() {
		r := p.GetResult()
		if slices.Contains(unasked, r.GetReason()) {
			continue
		}
		answered = true
		if r.GetReason() != "" || r.GetRefused() > 0 {
			return ExitError
		}
		if r.GetCreated()+r.GetChanged()+r.GetRecreated()+r.GetPruned()+r.GetReleased()+r.GetUntried() > 0 {
			code = ExitNo
		}
	}
	if !answered {
		return ExitError
	}
	return code
}

// printTrial writes what clusters say to a revision.
func (a *app) printTrial(t *hubv1.Trial) {
	a.print("\nTried on the clusters' own API servers, and nothing was changed:")
	for _, p := range t.GetParts() {
		r := p.GetResult()
		a.print("\n%s", table.Clean(trialHead(p)))
		if r.GetReason() != "" {
			a.print("  ! %s: %s", table.Clean(r.GetReason()), table.Clean(r.GetMessage()))
		}
		if r.GetHold() != "" {
			a.print("  ! it would be held, %s: %s", table.Clean(r.GetHold()), table.Clean(r.GetHoldMessage()))
		}
		for _, o := range r.GetObjects() {
			a.printTried(o)
		}
		if n := r.GetMoreObjects(); n > 0 {
			a.print("  … and %s", plural(n, "more object"))
		}
	}
	switch n := t.GetNotAsked(); {
	case n > 0:
		a.print("\n%s left out, since at most 50 are asked: --cluster, --group and -l choose among them.", plural(n, "more cluster"))
	case len(t.GetParts()) == 0:
		a.print("\nNo cluster is meant.")
	}
}

// trialHead is as in "3 clusters (eu-1, eu-2, us-1): 1 created, 2 changed, 4 unchanged, 1 refused".
func trialHead(p *hubv1.TrialPart) string {
	names := strings.Join(p.GetNames(), ", ")
	if len(p.GetNames()) < int(p.GetClusters()) {
		names += "…"
	}
	text := fmt.Sprintf("%s (%s)", plural(p.GetClusters(), "cluster"), names)
	r := p.GetResult()
	var parts []string
	for _, count := range []struct {
		n    uint32
		what string
	}{{r.GetCreated(), yardarmv1.TrialCreated}, {r.GetChanged(), yardarmv1.TrialChanged}, {r.GetRecreated(), yardarmv1.TrialRecreated}, {r.GetUnchanged(), yardarmv1.TrialUnchanged},
		{r.GetPruned(), yardarmv1.TrialPruned}, {r.GetReleased(), yardarmv1.TrialReleased}, {r.GetRefused(), yardarmv1.TrialRefused}, {r.GetUntried(), yardarmv1.TrialUntried}} {
		if count.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// trialSigns are what stands before an object, by what would come of it.
var trialSigns = map[string]struct {
	sign  string
	color table.Color
}{
	yardarmv1.TrialCreated: {"+", table.Green}, yardarmv1.TrialPruned: {"-", table.Red}, yardarmv1.TrialReleased: {"-", table.Yellow},
	yardarmv1.TrialRefused: {"!", table.Red}, yardarmv1.TrialUntried: {"?", table.Yellow},
}

func (a *app) printTried(o *yardarmv1.TriedObject) {
	s, ok := trialSigns[o.GetAction()]
	if !ok {
		s.sign, s.color = "~", table.Yellow
	}
	text := o.GetObject()
	if o.GetAction() != yardarmv1.TrialChanged {
		text += " " + o.GetAction()
	}
	for _, said := range []string{o.GetReason(), o.GetMessage()} {
		if said != "" {
			text += ": " + said
		}
	}
	a.print("  %s %s", table.Paint(s.sign, s.color, a.colors()), table.Clean(text))
	for _, f := range o.GetFields() {
		a.printField(f.GetPath(), f.GetBefore(), f.GetAfter())
	}
}
