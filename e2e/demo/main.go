// Command demo runs a whole fleet on this machine: a hub, three real Kubernetes clusters, and a spoke in each. It publishes an
// example application, shows it becoming ready, and stays up until Ctrl-C. With -check it walks on by itself: a change, a
// return to the revision before, a bundle that fails, a cluster that goes away and comes back; it looks into the clusters
// after each step, and exits with 1 and the reason if anything is not as it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/run"
)

func main() {
	check := flag.Bool("check", false, "walk the whole journey unattended, and fail if any step is not as it should be")
	flag.Parse()
	ctx, cancel := run.Context()
	err := demo(ctx, *check)
	interrupted := ctx.Err() != nil
	cancel()
	switch {
	case err == nil: // also when it was up, and a person ended it
	case interrupted && errors.Is(err, context.Canceled):
		os.Exit(run.Interrupted)
	default:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, check bool) (err error) {
	began := time.Now()
	steps := newSteps(os.Stdout)
	d, err := prepare(steps)
	if err != nil {
		return err
	}
	defer func() {
		// After a failure the logs stay, to be read.
		failed := err != nil && ctx.Err() == nil
		err = errors.Join(err, steps.do("stop everything", func() error { return d.stop(failed) }))
		if err == nil && check {
			fmt.Printf("\nAll of it is as it should be; it took %s.\n", time.Since(began).Round(time.Second))
		}
	}()
	if err := d.begin(ctx); err != nil {
		return err
	}
	if check {
		return d.check(ctx)
	}
	if err := d.tryNext(); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Println()
	return nil
}
