package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// enrollFlags say how a cluster is enrolled.
type enrollFlags struct {
	labels []string
	ttl    time.Duration
	spoke  spokeFlags
	noWait bool
	dryRun bool
	output string
}

func (a *app) enrollCommand() *cobra.Command {
	var f enrollFlags
	cmd := &cobra.Command{
		Use:   "enroll NAME",
		Short: "Add a cluster: print the command that installs its spoke, and watch it connect",
		Long: `Add a cluster. This prints the command that installs a spoke in it with Helm, to be run where the cluster's API
can be reached; the spoke dials the hub, and nothing dials the cluster. Then it waits until the spoke is
connected. With --process the command runs the spoke as a plain program instead, beside a kubeconfig.

The command holds a token, which is a secret: it is good for one use, for this name, and for a short time. A
token that has run out is replaced by enrolling the same name again. With -o json or yaml it does not wait.

Ctrl-C ends the waiting only: the cluster is there, and its token stays good.`,
		Example: `  yardarm enroll eu-1 -l env=prod,region=eu

  # With values of the chart's, and from a chart of your own registry
  export ` + chartEnv + `=oci://registry.example.com/charts/yardarm-spoke
  yardarm enroll eu-1 --set image.repository=registry.example.com/yardarm-spoke --set rbac.preset=read-only

  # In a script: start the spoke yourself, then wait for it
  yardarm enroll eu-1 -l env=prod --no-wait > install-spoke.sh
  yardarm enroll eu-2 -l env=prod -o json | jq -r .token
  yardarm wait cluster/eu-1 --for connected`,
		Args:              arguments(1, 1, "the name of the new cluster"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.enroll(cmd.Context(), strings.TrimPrefix(args[0], resource.Cluster.Name+"/"), f)
		},
	}
	cmd.Flags().StringArrayVarP(&f.labels, "labels", "l", nil, "labels of the cluster, as in env=prod,region=eu; may be repeated")
	cmd.Flags().DurationVar(&f.ttl, "ttl", 15*time.Minute, "how long the token is good; at most 24h")
	f.spoke.register(cmd)
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "print the command, and do not wait for the cluster")
	dryRunFlag(cmd, &f.dryRun)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML)
	return cmd
}

func (a *app) enroll(ctx context.Context, name string, f enrollFlags) error {
	if err := selector.ValidateName(name); err != nil {
		return usage("%s", err)
	}
	labels, err := parseLabels(f.labels)
	if err != nil {
		return err
	}
	if f.ttl <= 0 || f.ttl > 24*time.Hour {
		return usage("--ttl is %s; it must be more than 0 and at most 24h", f.ttl)
	}
	if err := f.spoke.check(); err != nil {
		return err
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	resp, err := hub.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: name, Labels: labels, Ttl: durationpb.New(f.ttl), DryRun: f.dryRun})
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.enrollable(f.output, resp.GetCluster())
	}
	command, known := f.spoke.command(name, resp)
	if f.output != formatTable {
		err = a.printValue(f.output, map[string]any{
			"cluster": name, "token": resp.GetToken(), "expires": resp.GetExpires().AsTime().Format(time.RFC3339),
			"spokeAddresses": resp.GetSpokeAddresses(), "command": command,
		})
		if err != nil {
			return err
		}
	} else {
		a.say("%s", f.spoke.where(name))
		a.say("The token in it is a secret, good once and until %s.\n", a.clockTime(resp.GetExpires().AsTime()))
		a.print("%s", command)
		a.say("")
	}
	if !known {
		a.warn("the hub does not say where spokes reach it: replace HUB:PORT, and start the hub with an address for spokes")
	}
	if f.noWait || f.output != formatTable { // programs read to the end
		return nil
	}
	return a.awaitEnrollment(ctx, hub, name, resp.GetExpires().AsTime())
}

// enrollable tells of a cluster that a dry run has not made.
func (a *app) enrollable(output string, c *yardarmv1.Cluster) error {
	if output != formatTable {
		return a.printMessage(output, c)
	}
	a.print("%s enrolling%s", typeName(c), dryNote(true))
	a.sayMoves(nil, c.GetStatus().GetGroups(), true)
	return nil
}

func (a *app) clockTime(t time.Time) string {
	return t.In(a.io.Now().Location()).Format("15:04:05 MST")
}

// awaitEnrollment shows the cluster on its way, until it is connected or its token has run out.
func (a *app) awaitEnrollment(ctx context.Context, hub *client.Client, name string, expires time.Time) error {
	ctx, cancel := a.withTimeout(ctx, max(expires.Sub(a.io.Now()), time.Nanosecond))
	defer cancel()
	states := make(chan *yardarmv1.Cluster)
	notes := make(chan string)
	failure := make(chan error, 1) // the watch ends once
	note := func(text string) {
		select {
		case notes <- text:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(states)
		for change, err := range hub.Watch(ctx, &hubv1.WatchRequest{Kind: yardarmv1.KindCluster, Name: name}, a.following(note)) {
			if err != nil {
				failure <- err
				return
			}
			cluster, ok := change.Object.(*yardarmv1.Cluster)
			if !ok {
				continue
			}
			if change.Type == client.Deleted {
				cluster = nil
			}
			select {
			case states <- cluster:
			case <-ctx.Done():
				failure <- context.Cause(ctx)
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range states { // until the watch has ended
		}
	}()
	l := a.newLine()
	defer l.clear()
	last := &yardarmv1.Cluster{}
	tick := time.NewTicker(lineInterval)
	defer tick.Stop()
	for {
		if state := a.enrollmentState(last); a.io.ErrTerminal {
			l.set("cluster/%s: %s; the token is good for %s more (Ctrl-C stops waiting, not the enrolment)", name, state,
				table.Left(expires.Sub(a.io.Now())))
		} else {
			l.set("cluster/%s: %s", name, state)
		}
		select {
		case <-tick.C:
		case text := <-notes:
			l.say(text)
		case cluster, ok := <-states:
			if !ok {
				l.clear()
				return a.enrollmentEnded(ctx, timeUp(ctx, <-failure), name, expires, last)
			}
			last = cluster
			if cluster == nil {
				l.clear()
				return failed("cluster/%s has been deleted meanwhile", name)
			}
			if cluster.GetStatus().GetPresence() == yardarmv1.PresenceConnected {
				l.clear()
				a.say("cluster/%s: connected%s", name, factsText(cluster.GetStatus().GetFacts()))
				return nil
			}
		}
	}
}

// enrollmentState is how far a cluster is.
func (a *app) enrollmentState(c *yardarmv1.Cluster) string {
	switch st := c.GetStatus(); {
	case st.GetPhase() == yardarmv1.ClusterBanned:
		return "banned"
	case st.GetPhase() == yardarmv1.ClusterActive && st.GetPresence() == yardarmv1.PresenceStale:
		return "enrolled, " + a.presence(c)
	case st.GetPhase() == yardarmv1.ClusterActive:
		return "enrolled, and not connected yet"
	}
	return "waiting for its spoke"
}

func (a *app) enrollmentEnded(ctx context.Context, err error, name string, expires time.Time, last *yardarmv1.Cluster) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		if last.GetStatus().GetPhase() == yardarmv1.ClusterActive {
			a.say("cluster/%s has enrolled and is not connected yet; 'yardarm wait cluster/%s --for connected' goes on waiting", name, name)
		} else {
			a.say("cluster/%s is there, and its token is still good until %s; 'yardarm wait cluster/%s --for connected' goes on waiting",
				name, a.clockTime(expires), name)
		}
		return err
	}
	if !errors.Is(err, errTimeUp) {
		return err
	}
	if last.GetStatus().GetPhase() == yardarmv1.ClusterActive {
		return timedOut("cluster/%s has enrolled, but its spoke has not connected; look at the spoke's log", name)
	}
	return timedOut("no spoke has enrolled as cluster/%s, and the token has run out; enroll it again for a new one", name)
}

// factsText is as in " (Kubernetes v1.36.3, 3 nodes)".
func factsText(f *yardarmv1.Facts) string {
	var parts []string
	if f.GetKubernetesVersion() != "" {
		parts = append(parts, "Kubernetes "+table.Clean(f.GetKubernetesVersion()))
	}
	if f.GetNodes() > 0 {
		parts = append(parts, plural(f.GetNodes(), "node"))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
