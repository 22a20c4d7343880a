// Command fleetsim runs a hub against thousands of spokes on one machine, and measures both beside what the machine can do
// without them.
//
// Hub, spokes and floors are processes of their own: the hub is yardarm-hub with its shipped settings, and the spokes run the
// code that spokes run, over real mTLS; only their clusters are played, and their disks are memory.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/scenario"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/worker"
	"github.com/yardarm-dev/yardarm/pkg/render"
	"github.com/yardarm-dev/yardarm/pkg/version"
)

func main() {
	// What ends a stream is counted; the library's own words about it would be one line for each.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	worker.Main()
	render.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "fleetsim:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	scenario, dir, out, name string
	json                     bool
	given                    scenario.Given
	config                   scenario.Config
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("fleetsim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: go run ./e2e/fleetsim -spokes N -scenario S [-json]\n\nscenarios: %s, or all\n\n", strings.Join(scenario.Names, ", "))
		f.PrintDefaults()
	}
	f.StringVar(&o.scenario, "scenario", "", "what to measure: `S` is one of the scenarios, several with commas between, or all")
	f.IntVar(&o.config.Spokes, "spokes", 1000, "how many spokes")
	f.BoolVar(&o.json, "json", false, "print the figures as one JSON object; of several scenarios, by their names")
	f.StringVar(&o.out, "out", "", "also write the figures, the machine, versions and the date into this `folder`, as NAME.json and NAME.md")
	f.StringVar(&o.name, "name", "fleetsim", "the `NAME` of those files")
	f.StringVar(&o.config.Programs.Dir, "programs", "", "the `folder` of yardarm-hub, if it is built already (default: it is built from this source tree)")
	f.StringVar(&o.dir, "dir", "", "where databases and logs go, and stay (default: a temporary folder)")
	f.IntVar(&o.config.Bundles, "bundles", 5, "bundles that each cluster runs")
	f.IntVar(&o.config.Changes, "changes", 20, "changes to make, in connect, change, rollout and source")
	f.DurationVar(&o.config.Hold, "hold", time.Minute, "how long connect holds the fleet; the target is for 10m")
	f.DurationVar(&o.config.Idle, "idle", time.Minute, "how long idle watches")
	f.DurationVar(&o.config.Busy, "busy", time.Minute, "how long dashboard has states change before the page")
	f.DurationVar(&o.config.Writing, "writing", 5*time.Second, "how long each part of write writes")
	f.IntVar(&o.config.Writers, "writers", 256, "writers in write")
	f.IntVar(&o.config.Clusters, "clusters", 0, "clusters in open, api, dashboard, source and the planning of rollout (default: as many as spokes)")
	f.IntVar(&o.config.ClusterBundles, "cluster-bundles", 100, "bundles of each cluster in open and the planning of rollout")
	f.IntVar(&o.config.PerProcess, "per-process", 5000, "spokes that one process runs")
	f.IntVar(&o.config.ConnectPerSecond, "connect-rate", 400, "spokes started in a second")
	f.StringVar(&o.given.AdminConfig, "hub-config", "", "measure a hub that runs already: the `file` with its administrator's credential (its data directory's admin.yaml)")
	f.StringVar(&o.given.SpokeAddress, "hub-spokes", "", "with -hub-config: `host:port` where spokes dial")
	f.IntVar(&o.given.PID, "hub-pid", 0, "with -hub-config: the hub's process, on this machine")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.given.AdminConfig != "" {
		if o.given.SpokeAddress == "" || o.given.PID == 0 {
			return o, errors.New("-hub-config needs -hub-spokes and -hub-pid")
		}
		o.config.Given = &o.given
	}
	return o, nil
}

// scenarios are those that the flag names.
func (o options) scenarios() ([]string, error) {
	if o.scenario == "all" {
		return scenario.Names, nil
	}
	names := strings.Split(o.scenario, ",")
	for _, name := range names {
		if !slices.Contains(scenario.Names, name) {
			return nil, fmt.Errorf("no scenario %q: there are %s, and all", name, strings.Join(scenario.Names, ", "))
		}
	}
	return names, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	names, err := o.scenarios()
	if err != nil {
		return err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "fleetsim"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	o.config.Progress = stderr
	bench := report.NewBench(time.Now(), version.String(), "go run ./e2e/fleetsim "+strings.Join(args, " "))
	if o.config.Programs.Dir == "" {
		if o.config.Programs, err = fleet.Build(ctx, filepath.Join(o.dir, "bin"), false, stderr); err != nil {
			return err
		}
	}
	var lines []report.Line
	for _, name := range names {
		c := o.config
		c.Dir = filepath.Join(o.dir, name)
		if err := os.MkdirAll(c.Dir, 0o755); err != nil {
			return err
		}
		figures, err := scenario.Start(ctx, name, c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		bench.Add(name, figures)
		lines = append(lines, report.Lines(figures)...)
		if o.out != "" { // after each, since all take an hour, and one may fail
			if err := bench.WriteFiles(o.out, o.name); err != nil {
				return err
			}
		}
	}
	if !o.json {
		return report.Table(stdout, lines)
	}
	var object any = bench.Scenarios
	if len(names) == 1 {
		object = bench.Scenarios[names[0]]
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}
