// Command controlplane starts Kubernetes control planes, prints their kubeconfigs' paths and runs until it
// is interrupted; nothing of them is left then. With -build-only it only makes sure that they are built.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

// run does what the arguments say. Paths go to out, all else to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("controlplane", flag.ContinueOnError)
	flags.SetOutput(progress)
	clusters := flags.Int("n", 1, "number of clusters, sharing one etcd")
	nodes := flags.Int("nodes", 2, "number of simulated nodes of each; 0: an API server only")
	dir := flags.String("dir", "", "empty folder for logs, credentials and data (default: a temporary one)")
	buildOnly := flags.Bool("build-only", false, "build the programs if need be, print their folder and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	bin, err := cluster.Binaries(ctx, progress)
	if err != nil {
		return err
	}
	if *buildOnly {
		fmt.Fprintln(out, bin.Dir)
		return nil
	}
	specs := make([]cluster.Spec, *clusters)
	for i := range specs {
		specs[i].Nodes = *nodes
	}
	began := time.Now()
	fleet, err := cluster.Start(ctx, cluster.Config{Clusters: specs, Dir: *dir, Bin: bin, Progress: progress})
	if ctx.Err() != nil && err != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fleet.Stop()) }()
	for _, c := range fleet.Clusters() {
		fmt.Fprintln(out, c.KubeconfigPath())
	}
	fmt.Fprintf(progress, "ready after %v; logs are in %s, kubectl in %s; Ctrl-C ends it\n",
		time.Since(began).Round(100*time.Millisecond), fleet.Dir(), bin.Dir)
	<-ctx.Done()
	return nil
}
