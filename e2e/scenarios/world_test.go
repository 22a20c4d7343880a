package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// patience is how long anything may take that usually takes a second: the machine is shared.
const patience = 60 * time.Second

// world is one test's hub, and the spokes that it has enrolled.
type world struct {
	t      *testing.T
	ctx    context.Context
	hub    *fleet.Hub
	cli    *fleet.CLI
	spokes map[string]*fleet.Spoke
	// id is part of the names in the clusters, which tests share.
	id string
}

// newWorld starts a hub. Graces are short, so that a test sees what takes a fleet a minute.
func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	return newWorldIn(t, filepath.Join(t.TempDir(), "hub"), flags...)
}

// newWorldIn starts the hub in a folder that the test has chosen.
func newWorldIn(t *testing.T, dir string, flags ...string) *world {
	t.Helper()
	return newWorldOf(t, fleet.HubConfig{Dir: dir, Flags: flags})
}

// newWorldOf starts a hub that differs by more than its flags.
func newWorldOf(t *testing.T, c fleet.HubConfig) *world {
	t.Helper()
	if c.Dir == "" {
		c.Dir = filepath.Join(t.TempDir(), "hub")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, spokes: map[string]*fleet.Spoke{}, id: strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	w.id = w.id[:min(len(w.id), 40)]
	c.Programs = programs
	c.Flags = append([]string{"--reconnect-grace", "1s", "--restart-grace", "10s", "--log-level", "debug"}, c.Flags...)
	hub, err := fleet.NewHub(c)
	w.must(err)
	w.hub, w.cli = hub, hub.CLI()
	t.Cleanup(func() { w.end() })
	w.must(hub.Start(ctx))
	return w
}

// end stops what runs, and shows the logs of a test that has failed.
func (w *world) end() {
	logs := []string{w.hubLog()}
	for name, s := range w.spokes {
		logs = append(logs, spokeLog(s))
		if err := s.Stop(); err != nil {
			w.t.Errorf("stop the spoke of %s: %v", name, err)
		}
	}
	if err := w.hub.Stop(); err != nil {
		w.t.Errorf("stop the hub: %v", err)
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Error(err)
			continue
		}
		if strings.Contains(string(text), "DATA RACE") || strings.Contains(string(text), "panic:") {
			w.t.Errorf("a race or a panic in %s:\n%s", path, text)
		} else if w.t.Failed() {
			w.t.Logf("the end of %s:\n%s", path, text[max(0, len(text)-6000):])
		}
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// do runs the CLI, which has to succeed, and answers what it wrote.
func (w *world) do(args ...string) string {
	w.t.Helper()
	r := w.cli.Run(w.ctx, args...)
	w.must(r.Err())
	return r.Stdout
}

// refused runs the CLI, which has to fail with a status and say all of the words.
func (w *world) refused(status int, args []string, words ...string) {
	w.t.Helper()
	w.said(w.cli.Run(w.ctx, args...), status, words...)
}

func (w *world) said(r fleet.Result, status int, words ...string) {
	w.t.Helper()
	text := r.Stdout + r.Stderr
	if r.ExitCode != status {
		w.t.Errorf("%s: exit status %d, want %d\n%s", r.Command, r.ExitCode, status, text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			w.t.Errorf("%s: does not say %q:\n%s", r.Command, word, text)
		}
	}
}

// eventually polls until fn is content.
func (w *world) eventually(what string, fn func() error) {
	w.t.Helper()
	w.within(patience, what, fn)
}

func (w *world) within(limit time.Duration, what string, fn func() error) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			w.t.Fatalf("%s: not within %s: %v\n%s", what, limit, err, w.cli.Run(context.WithoutCancel(w.ctx), "status").Stdout)
		}
		<-ticker.C
	}
}

// spoke makes the spoke of a cluster; what it keeps in the cluster is apart from that of other tests.
func (w *world) spoke(cluster string) *fleet.Spoke {
	w.t.Helper()
	return w.spokeAs(cluster, cluster, nil)
}

// spokeAs makes one under a name of its own, where a cluster has several, and with another configuration.
func (w *world) spokeAs(name, cluster string, change func(*fleet.SpokeConfig)) *fleet.Spoke {
	w.t.Helper()
	config := fleet.SpokeConfig{
		Programs: programs, Dir: filepath.Join(w.t.TempDir(), "spoke-"+name),
		Kubeconfig: clusters.Cluster(cluster).KubeconfigPath(), Hub: w.hub.SpokeAddress(),
		Flags: []string{"--namespace", "yardarm-" + w.id, "--log-level", "debug"},
	}
	if change != nil {
		change(&config)
	}
	s, err := fleet.NewSpoke(config)
	w.must(err)
	w.spokes[name] = s
	return s
}

// enrol enrols clusters, labelled test=yes, and waits until they are connected.
func (w *world) enrol(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.must(w.spoke(name).Enrol(w.ctx, w.cli, name, "test=yes,site="+name))
	}
	for _, name := range names {
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
}

// group makes a group of all of the test's clusters.
func (w *world) group(name string) {
	w.t.Helper()
	w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: " + name + "}\nspec: {selector: {matchLabels: {test: \"yes\"}}}\n")
}

func (w *world) apply(text string) {
	w.t.Helper()
	w.must(w.cli.RunWith(w.ctx, text, "apply", "-f", "-").Err())
}

// files writes manifests into a folder and answers its path. In each, NS stands for a namespace of the test's own.
func (w *world) files(texts ...string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	for i, text := range texts {
		text = strings.ReplaceAll(text, "NS", w.id)
		w.must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.yaml", i)), []byte(text), 0o644))
	}
	return dir
}

// publish publishes manifests to a group and answers the revision's number.
func (w *world) publish(bundle, group string, texts ...string) int {
	w.t.Helper()
	return w.published("publish", w.files(texts...), "--bundle", bundle, "--to", group)
}

// publishAtOnce publishes what every cluster gets at once, and keeps though it fails there, and so all that is published of the bundle later.
func (w *world) publishAtOnce(bundle, group string, texts ...string) int {
	w.t.Helper()
	return w.published("publish", w.files(texts...), "--bundle", bundle, "--to", group, "--rollout", "all-at-once")
}

// republish publishes to the groups that the bundle has.
func (w *world) republish(bundle string, texts ...string) int {
	w.t.Helper()
	return w.published("publish", w.files(texts...), "--bundle", bundle)
}

func (w *world) published(args ...string) int {
	w.t.Helper()
	var answer struct {
		Revision struct{ Spec struct{ Number int } }
	}
	out := w.do(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Revision.Spec.Number == 0 {
		w.t.Fatalf("publish answered no revision (%v): %s", err, out)
	}
	return answer.Revision.Spec.Number
}

// ready waits until a revision is ready everywhere.
func (w *world) ready(bundle string, revision int) {
	w.t.Helper()
	w.do("wait", "bundle/"+bundle, "--revision", fmt.Sprint(revision), "--timeout", patience.String())
}

// ask calls the hub as its administrator does, over a connection of its own. What is asked again and again is asked so: it would be a program each time.
func (w *world) ask(fn func(*client.Client) error) error {
	c, err := w.hub.Client()
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.Close())
}

// assignment is what the hub says of a bundle in a cluster.
func (w *world) assignment(cluster, bundle string) (a *yardarmv1.Assignment, err error) {
	err = w.ask(func(c *client.Client) (err error) {
		a, err = c.GetAssignment(w.ctx, &hubv1.GetAssignmentRequest{Cluster: cluster, Bundle: bundle})
		return err
	})
	return a, err
}

// phase waits until the hub gives a bundle in a cluster this phase, and answers what it says.
func (w *world) phase(cluster, bundle, phase string) (a *yardarmv1.Assignment) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s in %s is %s", bundle, cluster, phase), func() (err error) {
		if a, err = w.assignment(cluster, bundle); err != nil {
			return err
		}
		if a.Status.Phase != phase {
			return fmt.Errorf("it is %s (%s): %s", a.Status.Phase, a.Status.Reason, a.Status.Message)
		}
		return nil
	})
	return a
}

// cluster is what the hub says of a cluster.
func (w *world) cluster(name string) (cluster *yardarmv1.Cluster, err error) {
	err = w.ask(func(c *client.Client) (err error) {
		cluster, err = c.GetCluster(w.ctx, &hubv1.GetClusterRequest{Name: name})
		return err
	})
	return cluster, err
}

// presence waits until a cluster has a presence.
func (w *world) presence(name, presence string) {
	w.t.Helper()
	w.eventually(name+" is "+presence, func() error {
		c, err := w.cluster(name)
		if err == nil && c.Status.Presence != presence {
			err = fmt.Errorf("it is %s", c.Status.Presence)
		}
		return err
	})
}
