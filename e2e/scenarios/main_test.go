// Package scenarios tests Yardarm whole: the built programs, on real API servers, the way people use it and the way things
// go wrong. Each test has a hub and spokes of its own; the clusters are shared, so each test has names of its own in them.
package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/parallel"
)

// Clusters of all tests. Two run workloads; all have controllers, without which no namespace is ever gone.
const (
	lisbon = "lisbon"
	boston = "boston"
	tokyo  = "tokyo"
)

// atATime is how many tests run at a time at least: each mostly waits, some for a minute's certificate to expire.
const atATime = 6

var (
	clusters *cluster.Fleet
	programs fleet.Programs
)

func TestMain(m *testing.M) {
	parallel.AtLeast(atATime)
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "yardarm-scenarios-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if programs, err = fleet.Build(ctx, filepath.Join(dir, "bin"), true, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	clusters, err = cluster.Start(ctx, cluster.Config{Progress: os.Stderr, Clusters: []cluster.Spec{
		{Name: lisbon, Nodes: 2, Region: "eu-west-1"},
		{Name: boston, Nodes: 1, Region: "us-east-1"},
		{Name: tokyo, Controllers: true},
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := clusters.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}
