// Command spokebench measures what a spoke does to its cluster, and what it costs: how soon drift is repaired, how long a bundle
// takes beside kubectl, memory among thousands of objects that are others', and what a spoke with nothing to do still does.
//
// Nothing is played: hub and spokes are the programs as they are shipped, on real API servers, whose audit logs count the requests.
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
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "spokebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var asJSON bool
	c := Config{Sizes: fullSizes, Progress: stderr}
	f := flag.NewFlagSet("spokebench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: go run ./e2e/spokebench [-json]\n\nTakes about 4 minutes on 2 cores.\n\n")
		f.PrintDefaults()
	}
	f.BoolVar(&asJSON, "json", false, "print the figures as one JSON object, rather than as a table beside their targets")
	f.DurationVar(&c.Idle, "idle", c.Idle, "how long the idle spoke is watched")
	f.IntVar(&c.Revisions, "revisions", c.Revisions, "revisions of all bundles before memory is measured")
	f.IntVar(&c.Others, "others", c.Others, "objects of others in the cluster")
	f.StringVar(&c.Dir, "dir", "", "where databases and logs go, and stay (default: a temporary folder)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "spokebench"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
	}
	if c.Bin, err = cluster.Binaries(ctx, stderr); err != nil {
		return err
	}
	if c.Programs, err = fleet.Build(ctx, filepath.Join(c.Dir, "bin"), false, stderr); err != nil {
		return err
	}
	began := time.Now()
	figures, err := Measure(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "measured in %s\n", time.Since(began).Round(time.Second))
	if asJSON {
		return json.NewEncoder(stdout).Encode(figures)
	}
	return report.Table(stdout, figures.Lines())
}
