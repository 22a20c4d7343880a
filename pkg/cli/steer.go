package cli

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// steeringVerb is one thing that people do to a rollout.
type steeringVerb struct {
	name, short, long, done string
	call                    func(*client.Client, context.Context, *hubv1.SteerRolloutRequest, ...grpc.CallOption) (*yardarmv1.Rollout, error)
}

var steering = []steeringVerb{
	{yardarmv1.ActionPause, "Stop a rollout: no further cluster gets the revision",
		"Stop a rollout: no further cluster gets the revision until 'yardarm rollout resume'. It stays so when the hub\nrestarts. A newer revision begins a rollout of its own.",
		"paused", (*client.Client).PauseRollout},
	{yardarmv1.ActionResume, "Go on with a rollout that is paused",
		"Go on with a rollout that somebody has paused. One that has failed is begun anew instead: 'yardarm rollout retry'.", "resumed", (*client.Client).ResumeRollout},
	{yardarmv1.ActionApprove, "Give the approval that a stage waits for",
		"Give the approval that the stage which is under way waits for, before or after it, as the strategy says. It is\nrecorded who did and when, and takes a role that may approve rollouts.\n\nA revision that changes how a CustomResourceDefinition stores objects (they are stored in another version, or\na version goes) waits before its first stage for somebody to confirm that: this does, and approves no\nstage. 'yardarm rollout status' says what is confirmed.",
		"approved", (*client.Client).ApproveRollout},
	{yardarmv1.ActionPromote, "Go on with the next stage though this one is not over",
		"Go on with the next stage though the one that is under way is not over: what is left of its soak is not waited\nfor. Approvals and failures are not passed over so.", "promoted", (*client.Client).PromoteRollout},
	{yardarmv1.ActionOverride, "Let a revision pass all gates, in an emergency",
		"Let a bundle's latest revision pass all gates: freezes, and windows. It is for this revision alone, goes for\nclusters that go back, too, and passes over no approval. Say with -m why: it is recorded who did it and when, in\nthe rollout and the audit log, and takes a role that may override rollouts.",
		"passes all gates", (*client.Client).OverrideGates},
	{yardarmv1.ActionRetry, "Begin a rollout that has failed anew",
		"Begin a rollout that has failed anew, by the strategy that the bundle has now. Clusters that still have the\nrevision try again at once what has failed.", "begun anew", (*client.Client).RetryRollout},
}

func (a *app) steerCommand(verb steeringVerb) *cobra.Command {
	req := &hubv1.SteerRolloutRequest{}
	cmd := &cobra.Command{
		Use:               verb.name + " bundle/NAME",
		Short:             verb.short,
		Long:              verb.long,
		Example:           "  yardarm rollout " + verb.name + " bundle/web\n  yardarm rollout " + verb.name + " bundle/web --revision 3 -m \"why\"",
		Args:              arguments(1, 2, "bundle/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if req.Bundle, err = oneBundle(args); err != nil {
				return err
			}
			if verb.name == yardarmv1.ActionOverride && req.Message == "" {
				return usage("say with -m why the gates do not count this time")
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			r, err := verb.call(hub, cmd.Context(), req)
			if err != nil {
				return err
			}
			a.print("rollout of bundle/%s revision %d %s%s", r.GetSpec().GetBundle(), r.GetSpec().GetRevision(), verb.done, dryNote(req.DryRun))
			return nil
		},
	}
	cmd.Flags().Uint32Var(&req.Revision, "revision", 0, "the revision that is meant; refused if the bundle has a later one by now")
	cmd.Flags().StringVarP(&req.Message, "message", "m", "", "why, for those who read it later")
	dryRunFlag(cmd, &req.DryRun)
	complete(cmd, "revision", a.completeRevisions)
	if verb.name == yardarmv1.ActionOverride {
		cmd.Example = "  yardarm rollout override bundle/web --revision 3 -m \"the shop is down\""
	}
	return cmd
}
