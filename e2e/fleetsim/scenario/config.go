// Package scenario is what fleets live through: each scenario makes a hub, spokes and floors, and answers figures.
package scenario

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

const (
	// artifactSize is that of the manifests whose one field changes, in bytes.
	artifactSize = 50_000
	// stalledOf is of how many spokes one stalls, where some do.
	stalledOf = 20
	// tens is how many clusters a change of few concerns.
	tens = 10
	// patience bounds each thing that is awaited, on a machine that has much else to do.
	patience = 10 * time.Minute
)

// Config says how large, how long, and with what.
type Config struct {
	Spokes int
	// Bundles that each cluster runs. Default 5.
	Bundles int
	// Changes that are made, or pushed, where several are. Default 20.
	Changes int
	// Hold is how long a connected fleet is to stay so (connect). Default 1 min.
	Hold time.Duration
	// Idle is how long an idle fleet is watched, and Busy how long a page is while states change (dashboard). Default 1 min each.
	Idle, Busy time.Duration
	// Writers of the write scenario, and for how long each part of it writes. Default 256, 5 s.
	Writers int
	Writing time.Duration
	// Clusters and ClusterBundles of the database that the open, api, rollout, dashboard and source scenarios open. Default: Spokes, 100.
	Clusters, ClusterBundles int
	// PerProcess is how many spokes one process runs; at most 9,000, with two files each and some to spare. Default 5,000.
	PerProcess int
	// ConnectPerSecond is how fast spokes are started. Default 400.
	ConnectPerSecond int

	// Dir holds what is made.
	Dir string
	// Programs are the hub's; Given a hub that runs already, nil for one of its own.
	Programs fleet.Programs
	Given    *Given
	// Progress is told what goes on.
	Progress io.Writer
}

// Given is a hub that runs already.
type Given struct {
	// AdminConfig is a file as the hub writes for its local administrator.
	AdminConfig string
	// SpokeAddress is where spokes dial, host:port.
	SpokeAddress string
	// PID of the hub.
	PID int
}

const maxPerProcess = 9_000

func (c *Config) setDefaults() error {
	if c.Spokes < 1 {
		return fmt.Errorf("%d spokes: at least one is needed", c.Spokes)
	}
	fill(&c.Bundles, 5)
	fill(&c.Changes, 20)
	fill(&c.Hold, time.Minute)
	fill(&c.Idle, time.Minute)
	fill(&c.Busy, time.Minute)
	fill(&c.Writers, 256)
	fill(&c.Writing, 5*time.Second)
	fill(&c.Clusters, c.Spokes)
	fill(&c.ClusterBundles, 100)
	fill(&c.PerProcess, 5_000)
	fill(&c.ConnectPerSecond, 400)
	if c.PerProcess > maxPerProcess {
		return fmt.Errorf("%d spokes in a process: at most %d", c.PerProcess, maxPerProcess)
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return nil
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) say(format string, args ...any) {
	fmt.Fprintf(c.Progress, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// run is one scenario; it answers a pointer to figures of package report.
type run func(ctx context.Context, c Config) (any, error)

// all are the scenarios by name.
var all = map[string]run{
	"connect": connect, "idle": idle, "change": change, "storm": storm, "write": write, "open": open, "growth": growth, "api": api, "stalled": stalled, "rollout": rollout,
	"dashboard": dashboard, "source": source,
}

// Names lists the scenarios, the quick ones first.
var Names = []string{"write", "open", "api", "dashboard", "source", "rollout", "change", "stalled", "idle", "storm", "connect", "growth"}

// Start runs one scenario.
func Start(ctx context.Context, name string, c Config) (any, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	c.say("%s: begins", name)
	return all[name](ctx, c)
}
