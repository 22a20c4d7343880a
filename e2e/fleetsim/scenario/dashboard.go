package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/spokes"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// measurer drives Chromium; it is a part of e2e/browser for its libraries.
	measurer = "e2e/browser/measure.mjs"
	// busyGroup is the group of the clusters that have spokes, by a label of its name: the map draws them together.
	busyGroup = "busy"
	// busyOf is of how many clusters one has a spoke, up to maxRate: each changes its state once a second.
	busyOf = 10
	// paces is in how many steps a second the changes are made.
	paces = 100
)

// dashboard has a browser show a large fleet of rows, at rest and while the states of those clusters that have spokes change.
func dashboard(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the browser, whatever has gone wrong
	c.ClusterBundles = apiBundles
	h, err := dashboardHub(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p := &players{n: busyIn(c.Clusters)}
	if err := p.connect(ctx, c, h); err != nil {
		return nil, err
	}
	defer p.fleet.Stop()
	browser, err := startMeasurer(ctx, c, h)
	if err != nil {
		return nil, err
	}
	out := &report.Dashboard{Clusters: c.Clusters, Bundles: apiBundles}
	if err := browser.await("at rest"); err != nil {
		return nil, err
	}
	c.say("%d clusters are measured at rest", c.Clusters)
	if err := browser.say("busy"); err != nil {
		return nil, err
	}
	began := time.Now()
	made, err := p.change(ctx, c.Busy)
	if err != nil {
		return nil, err
	}
	out.Seconds = time.Since(began).Seconds()
	out.ChangesPerSecond = float64(made) / out.Seconds
	if err := errors.Join(browser.say("over"), browser.result(out)); err != nil {
		return nil, err
	}
	c.say("first paint %.0f ms, filter %.0f ms, sort %.0f ms; main thread %.1f %% of %.0f s, %d states drawn wrong", out.FirstPaint, out.Filter, out.Sort,
		out.BusyPercent, out.Seconds, out.Dropped)
	return out, nil
}

// dashboardHub starts a hub on a database of all the clusters that have no spoke.
func dashboardHub(ctx context.Context, c Config) (*hub, error) {
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: oneCaller})
	if err != nil {
		return nil, err
	}
	h := &hub{own: own}
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	if err := own.Stop(); err != nil {
		return nil, err
	}
	if _, err := seed.Hub(ctx, own.DataDir(), seed.Fleet{Clusters: c.Clusters - busyIn(c.Clusters), Bundles: c.ClusterBundles}); err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	return h, h.start(ctx)
}

// busyIn is how many clusters of a fleet have a spoke.
func busyIn(clusters int) int { return max(min(clusters/busyOf, maxRate), 1) }

// players are spokes whose clusters change their state.
type players struct {
	fleet *spokes.Fleet
	n     int
	// failing says whether clusters are to be degraded; those whose number can be divided by three stay so in the end.
	failing atomic.Bool
}

// connect enrols the spokes and awaits that all of their bundles are ready.
func (p *players) connect(ctx context.Context, c Config, h *hub) error {
	if _, err := h.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group(busyGroup, busyGroup)}}); err != nil {
		return fmt.Errorf("make the group: %w", err)
	}
	clusters := make([]spokes.Cluster, p.n)
	calls, calling := errgroup.WithContext(ctx)
	calls.SetLimit(tokensAtOnce)
	for i := range clusters {
		calls.Go(func() error {
			name := fmt.Sprintf("busy-%05d", i)
			answer, err := h.client.EnrollCluster(calling, &hubv1.EnrollClusterRequest{Name: name, Labels: map[string]string{busyGroup: "yes"}})
			if err != nil {
				return fmt.Errorf("ask for a token: %w", err)
			}
			clusters[i] = spokes.Cluster{Name: name, Token: answer.Token}
			return nil
		})
	}
	if err := calls.Wait(); err != nil {
		return err
	}
	var err error
	if p.fleet, err = spokes.Enrol(ctx, h.spokeAddress(), firstNetwork, clusters); err != nil {
		return err
	}
	p.fleet.Play(func(_ string, r *yardarmv1.Report) {
		if p.failing.Load() && r.Bundle == seed.BundleName(0) {
			r.Phase, r.Reason, r.Message = yardarmv1.PhaseDegraded, "CrashLoopBackOff", "1 of 45 objects is failing"
			r.Objects.Ready, r.Objects.Failed = r.Objects.Total-1, 1
		}
	})
	p.fleet.Start(0, p.n, time.Second*time.Duration(p.n)/time.Duration(c.ConnectPerSecond))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range c.ClusterBundles {
		if _, err := p.fleet.AwaitRevision(ctx, seed.BundleName(i), 1, p.n); err != nil {
			return err
		}
	}
	c.say("%d spokes have %d bundles each", p.n, c.ClusterBundles)
	return nil
}

// change has each cluster change its state once a second, and answers how many changes that were.
func (p *players) change(ctx context.Context, long time.Duration) (made int, err error) {
	steps := time.NewTicker(time.Second / paces)
	defer steps.Stop()
	begun, at := time.Now(), 0
	for time.Since(begun) < long {
		select {
		case <-ctx.Done():
			return made, ctx.Err()
		case <-steps.C:
		}
		for due := int(time.Since(begun).Seconds() * float64(p.n)); made < due; made++ {
			if at == 0 {
				p.failing.Store(!p.failing.Load())
			}
			p.fleet.Again(at, seed.BundleName(0))
			at = (at + 1) % p.n
		}
	}
	for i := range p.n {
		p.failing.Store(i%3 == 0)
		p.fleet.Again(i, seed.BundleName(0))
	}
	return made, nil
}

// browser is the program that drives Chromium. It takes a word a line, and answers one; its last line are the figures.
type browser struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startMeasurer(ctx context.Context, c Config, h *hub) (*browser, error) {
	script, err := fleet.Source(measurer)
	if err != nil {
		return nil, err
	}
	_, token, err := h.own.HTTP()
	if err != nil {
		return nil, err
	}
	b := &browser{command: exec.CommandContext(ctx, "node", script)}
	b.command.Env = append(os.Environ(), "HUB="+h.own.URL(), "TOKEN="+token, "GROUP="+busyGroup, fmt.Sprint("CLUSTERS=", c.Clusters))
	b.command.Stderr = c.Progress
	if b.in, err = b.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.out = bufio.NewScanner(out)
	if err := b.command.Start(); err != nil {
		return nil, fmt.Errorf("run %s, which needs node, Chromium and `npm ci` in its folder: %w", measurer, err)
	}
	return b, nil
}

func (b *browser) say(word string) error {
	_, err := fmt.Fprintln(b.in, word)
	return err
}

func (b *browser) await(word string) error {
	if b.out.Scan() && strings.TrimSpace(b.out.Text()) == word {
		return nil
	}
	return errors.Join(fmt.Errorf("%s: want %q, got %q", measurer, word, b.out.Text()), b.out.Err(), b.command.Wait())
}

// result takes the figures, and the program's end.
func (b *browser) result(out *report.Dashboard) error {
	if !b.out.Scan() {
		return errors.Join(fmt.Errorf("%s has no figures", measurer), b.out.Err(), b.command.Wait())
	}
	return errors.Join(json.Unmarshal(b.out.Bytes(), out), b.command.Wait())
}
