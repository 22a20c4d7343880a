package cli

import (
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxGateName is how long a name may be that is made of what is frozen: the longest that the hub takes.
const maxGateName = 63

// freezeFlags say what is frozen, and for how long.
type freezeFlags struct {
	all                       bool
	bundles, groups, clusters []string
	until                     string
	lasts                     string
	reason                    string
	dryRun                    bool
}

func (a *app) freezeCommand() *cobra.Command {
	var f freezeFlags
	cmd := &cobra.Command{
		Use:   "freeze [NAME]",
		Short: "Let nothing move: in all of the hub, in groups, of bundles, or in single clusters",
		Long: `Freeze bundles, cluster groups, clusters, or all there is: no cluster gets another revision, nor goes back to
an earlier one, until the freeze is over or 'yardarm unfreeze' lifts it. What a cluster was told before goes
on, and what runs goes on running; its spoke keeps repairing drift.

Rollouts wait for a freeze. One of single clusters (--cluster) sets those aside: the others go on without
them, and they follow when it is lifted. Several flags narrow: --bundle web --group prod freezes web in prod.

A freeze is a gate: 'yardarm get gates' lists them, with who wrote them and why, and 'yardarm why' says where one
holds a cluster back. Windows of time are gates, too, which 'yardarm apply' takes:

  apiVersion: yardarm.dev/v1
  kind: Gate
  metadata: {name: nightly}
  spec:
    groups: [prod]
    reason: only while nobody buys
    window: {effect: allow, schedule: "0 22 * * 1-5", duration: 6h, timeZone: Europe/Berlin}

With effect deny, nothing goes on within it. In an emergency, 'yardarm rollout override' lets one revision pass.`,
		Example: `  yardarm freeze --all --for 72h --reason "Black Friday"
  yardarm freeze release-week --group prod --until 2026-12-24T08:00:00+01:00
  yardarm freeze --cluster eu-7 --reason "anna looks into its disks"
  yardarm unfreeze freeze-cluster-eu-7`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gate, err := f.gate(args, a.io.Now())
			if err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			resp, err := hub.Apply(cmd.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Gate{Gate: gate}}}, DryRun: f.dryRun})
			if err != nil {
				return a.inFlags(err, freezeField, freezeNames)
			}
			for _, warning := range resp.GetResults()[0].GetWarnings() {
				a.say("%s", warning)
			}
			a.print("gate/%s %s: %s frozen %s%s", gate.Metadata.Name, resp.GetResults()[0].GetOutcome(), gateAbout(gate.Spec), a.gateWhen(gate.Spec), dryNote(f.dryRun))
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "freeze everything")
	flags.StringSliceVar(&f.bundles, "bundle", nil, "freeze these bundles")
	flags.StringSliceVar(&f.groups, "group", nil, "freeze in the clusters of these groups")
	flags.StringSliceVar(&f.clusters, "cluster", nil, "set these clusters aside")
	flags.StringVar(&f.until, "until", "", "when it is over, as in 2026-12-24T08:00:00+01:00; by default once it is lifted")
	flags.StringVar(&f.lasts, "for", "", "how long it lasts, as in 3d or 48h")
	flags.StringVar(&f.reason, "reason", "", "why, for those who wait for it")
	dryRunFlag(cmd, &f.dryRun)
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "group", a.completeNames(resource.Group))
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	return cmd
}

// freezeField is how the hub names what the flags of freeze say.
var freezeField = regexp.MustCompile(`(?:Gate "[^"]*": )?\bresources\[0\]\.(?:metadata|spec)\.(?:freeze\.)?(name|bundles|groups|clusters|reason|until)(?:\.names)?(?:\[\d+\])?`)

// freezeNames are what the command line calls otherwise.
var freezeNames = map[string]string{"name": "NAME", "bundles": "--bundle", "groups": "--group", "clusters": "--cluster"}

// gate is what the flags ask for.
func (f freezeFlags) gate(args []string, now time.Time) (*yardarmv1.Gate, error) {
	spec := &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}, Reason: f.reason}
	words := []string{yardarmv1.GateFreeze}
	for _, part := range []struct {
		word  string
		names []string
		set   func([]string)
	}{
		{"bundle", f.bundles, func(names []string) { spec.Bundles = &yardarmv1.Scope{Names: names} }},
		{"group", f.groups, func(names []string) { spec.Groups = names }},
		{"cluster", f.clusters, func(names []string) { spec.Clusters = &yardarmv1.Scope{Names: names} }},
	} {
		if len(part.names) == 0 {
			continue
		}
		names := make([]string, len(part.names))
		for i, name := range part.names {
			names[i] = strings.TrimPrefix(name, part.word+"/")
		}
		part.set(names)
		words = append(append(words, part.word), names...)
	}
	switch some := len(words) > 1; {
	case f.all && some:
		return nil, usage("--all freezes everything; leave it out, or the others")
	case !f.all && !some:
		return nil, usage("say what is frozen: --bundle, --group, --cluster, or --all")
	case f.until != "" && f.lasts != "":
		return nil, usage("--until and --for do not go together")
	case f.all:
		words = append(words, "all")
	}
	if f.until != "" {
		until, err := time.Parse(time.RFC3339, f.until)
		if err != nil {
			return nil, usage("--until is %q; give a time with its zone, as in %s", f.until, now.Add(48*time.Hour).UTC().Format(time.RFC3339))
		}
		spec.Freeze.Until = timestamppb.New(until)
	}
	if f.lasts != "" {
		lasts, err := parseLife(f.lasts)
		if err != nil {
			return nil, usage("--for is %q; %s", f.lasts, err)
		}
		spec.Freeze.Until = timestamppb.New(now.Add(lasts))
	}
	name := strings.Join(words, "-")
	if len(args) > 0 {
		name = strings.TrimPrefix(args[0], resource.Gate.Name+"/")
	} else if len(name) > maxGateName {
		return nil, usage("so much is frozen that the freeze needs a name: yardarm freeze NAME …")
	}
	return &yardarmv1.Gate{ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindGate, Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}, nil
}

func (a *app) unfreezeCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "unfreeze NAME… | gate/NAME…",
		Short: "Lift freezes: what waited for them goes on",
		Long: `Lift freezes, by the names that 'yardarm get gates' lists. What waited for them goes on at once, as far as no
other gate holds it. Windows are not lifted so: 'yardarm delete gate NAME' deletes one.`,
		Example:           `  yardarm unfreeze freeze-group-prod`,
		Args:              arguments(1, -1, "a freeze, as in freeze-all"),
		ValidArgsFunction: a.completeNames(resource.Gate),
		RunE: func(cmd *cobra.Command, args []string) error {
			hub, err := a.connect()
			if err != nil {
				return err
			}
			for _, arg := range args {
				name := strings.TrimPrefix(arg, resource.Gate.Name+"/")
				object, err := fetchOne(cmd.Context(), hub, resource.Gate, name)
				if err != nil {
					return err
				}
				if gate := object.(*yardarmv1.Gate); gateType(gate) != yardarmv1.GateFreeze {
					return failed("gate/%s is a window; 'yardarm delete gate %s' deletes it", name, name)
				}
				req := &hubv1.DeleteGateRequest{Name: name, ResourceVersion: object.GetMetadata().GetResourceVersion(), DryRun: dryRun}
				if _, err := hub.DeleteGate(cmd.Context(), req); err != nil {
					return err
				}
				a.print("gate/%s lifted%s", name, dryNote(dryRun))
			}
			return nil
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}
