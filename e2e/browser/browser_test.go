package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
)

var programs fleet.Programs

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "yardarm-browser-")
	if err == nil {
		defer os.RemoveAll(dir)
		programs, err = fleet.Build(context.Background(), filepath.Join(dir, "bin"), false, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Each screen with a few clusters in each state, by who may do everything and by who may only look; the hub goes away and comes back, a spoke is killed.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(fleetOf(20))
	w.connectLone("lone-1")
	w.do("enroll", "new-1", "-l", "env=test,region=us-east", "--no-wait")
	w.publish("web", "prod", "one")
	w.publish("base", "test", "one")
	w.publish("base", "test", "two")
	w.publish("web", "prod", "two")
	w.publishInStages()
	w.run("pages.spec.mjs")
}

// Ten thousand clusters, a thousand of which have spokes: the map draws squares, the table holds what is in the window, and neither says less than the API.
func TestMany(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, seed.Fleet{Clusters: 9000, Bundles: 2})
	w.publish("web", "prod", "one")
	w.connect(fleetOf(1000))
	w.run("many.spec.mjs")
}

// What can be done in the pages, by keys alone.
func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect(fleetOf(12))
	w.publish("web", "prod", "one")
	w.publish("base", "test", "one")
	w.publishInStages()
	w.run("keys.spec.mjs")
}

// Each screen at each size, from an empty hub on. `make screens` keeps the pictures.
func TestScreens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("empty.spec.mjs")
	w.connect(fleetOf(40))
	w.connectLone("lone-1")
	w.do("enroll", "new-1", "-l", "env=test,region=us-east", "--no-wait")
	w.publish("web", "prod", "one")
	w.publish("base", "test", "one")
	w.publish("web", "prod", "two")
	w.publishInStages()
	w.lone["lone-1"].Stop()
	w.run("screens.spec.mjs")
}
