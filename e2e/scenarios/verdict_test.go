package scenarios

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// refusedService is an object that no API server takes.
const refusedService = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: NS}\nspec: {ports: [{port: 99999}]}\n"

// A pipeline that publishes and waits is told what has become of the revision, by an exit code of its own for each end that there is, and in the documents
// that it writes.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	good := []string{namespace, settings("one", "1")}

	v := w.verdict("publish", w.files(good...), "--bundle", "web", "--to", "all", "--wait")
	v.is(t, 0, "converged", "published", 1)
	if c := v.Verdict.Clusters; c.Total != 1 || c.Ready != 1 {
		t.Errorf("clusters: %+v", c)
	}
	w.verdict("publish", w.files(good...), "--bundle", "web", "--wait").is(t, 0, "converged", "unchanged", 1)
	w.verdict("publish", w.files("nothing: good"), "--bundle", "web", "--wait").is(t, 2, "error", "", 0)

	// The rollout goes on to nothing, or returns to what was good; either way it says why.
	v = w.verdict("publish", w.files(settings("bad", "1"), strings.Replace(refusedService, "name: web", "name: other", 1)), "--bundle", "bad", "--to", "all", "--rollout", "all-at-once", "--wait")
	v.is(t, 1, "failed", "published", 1)
	v.blames(t, tokyo)
	v = w.verdict("publish", w.files(append(good, refusedService)...), "--bundle", "web", "--wait")
	v.is(t, 3, "rolled-back", "published", 2)
	if !strings.Contains(v.Verdict.Failure, tokyo+": Service "+w.id+"/web: ") {
		t.Errorf("the rollout says %q", v.Verdict.Failure)
	}
	w.said(w.cli.Run(w.ctx, "rollout", "watch", "bundle/web"), 3, "rolled back")
	suite := w.junit(3, "wait", "bundle/web", "--revision", "2")
	if suite.Tests != 2 || suite.Failures == 0 || suite.Cases[0].Name != "rollout" || suite.Cases[0].Failure.Type != "rolled-back" || suite.Cases[1].Name != "cluster/"+tokyo {
		t.Errorf("the suite is %+v", suite)
	}

	w.apply("apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: asks}\nspec: {targets: [{group: all}], rollout: {stages: [{name: first, approval: before}]}}\n")
	w.verdict("publish", w.files(settings("asks", "1")), "--bundle", "asks", "--wait").is(t, 4, "awaiting-approval", "published", 1)

	// Nobody is there, so that a revision stays on its way for as long as somebody waits.
	w.must(w.spokes[tokyo].Kill())
	w.presence(tokyo, "Stale")
	w.verdict("publish", w.files(settings("one", "3")), "--bundle", "web", "--wait", "--timeout", "1s").is(t, 124, "timed-out", "published", 3)
	w.said(w.cli.Run(w.ctx, "rollout", "watch", "bundle/web", "--timeout", "1s"), 124, "has not come to its end")
	w.said(w.cli.Run(w.ctx, "reconcile", "bundle/web", "--wait", "--timeout", "1s"), 124, "0 of 1 assignment ready")
	w.waiting("wait", "bundle/web").ends(5, "superseded", func(*os.Process) { w.republish("web", settings("one", "4")) })
	w.waiting("wait", "bundle/web").ends(130, "interrupted", func(p *os.Process) { w.must(p.Signal(syscall.SIGINT)) })
}

// verdict is what -o json writes.
type verdict struct {
	exitCode int
	Outcome  string
	Verdict  struct {
		Result, Message, Failure string
		ExitCode, Revision       int
		Clusters                 struct{ Total, Ready int }
		Failed                   []struct{ Cluster, Object, File, Reason string }
	}
}

// verdict runs what waits, and reads what it writes.
func (w *world) verdict(args ...string) (v verdict) {
	w.t.Helper()
	r := w.cli.Run(w.ctx, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(r.Stdout), &v); err != nil {
		w.t.Fatalf("%s: %v\n%s%s", r.Command, err, r.Stdout, r.Stderr)
	}
	v.exitCode = r.ExitCode
	return v
}

func (v verdict) is(t *testing.T, code int, result, outcome string, revision int) {
	t.Helper()
	if v.exitCode != code || v.Verdict.ExitCode != code || v.Verdict.Result != result || v.Outcome != outcome || v.Verdict.Revision != revision {
		t.Errorf("got %+v, want %d %s of revision %d, %s", v, code, result, revision, outcome)
	}
}

// blames: one cluster has failed, and it is said by which object of which file.
func (v verdict) blames(t *testing.T, cluster string) {
	t.Helper()
	if f := v.Verdict.Failed; len(f) != 1 || f[0].Cluster != cluster || !strings.HasPrefix(f[0].Object, "Service ") || !strings.HasSuffix(f[0].File, ".yaml") || f[0].Reason == "" {
		t.Errorf("it blames %+v: %s", f, v.Verdict.Message)
	}
}

type junitSuite struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Cases    []struct {
		Name    string `xml:"name,attr"`
		Failure struct {
			Type string `xml:"type,attr"`
		} `xml:"failure"`
	} `xml:"testcase"`
}

func (w *world) junit(status int, args ...string) junitSuite {
	w.t.Helper()
	r := w.cli.Run(w.ctx, append(args, "-o", "junit")...)
	w.said(r, status)
	var doc struct {
		Suites []junitSuite `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(r.Stdout), &doc); err != nil || len(doc.Suites) != 1 {
		w.t.Fatalf("%v, %d suites: %s", err, len(doc.Suites), r.Stdout)
	}
	return doc.Suites[0]
}

// waiting is a command that waits.
type waiting struct {
	w       *world
	command *exec.Cmd
	out     bytes.Buffer
	err     lines
}

// lines are what a command has written so far.
type lines struct{ written chan string }

func (l lines) Write(data []byte) (int, error) {
	l.written <- string(data)
	return len(data), nil
}

func (w *world) waiting(args ...string) *waiting {
	w.t.Helper()
	c := &waiting{w: w, command: exec.CommandContext(w.ctx, programs.Path("yardarm"), append(args, "-o", "json")...), err: lines{make(chan string, 1000)}}
	c.command.Env = []string{"YARDARM_CONFIG=" + w.cli.Config}
	c.command.Stdout, c.command.Stderr = &c.out, c.err
	w.must(c.command.Start())
	return c
}

// ends does something once the command has shown that it waits, and sees how it ends.
func (c *waiting) ends(status int, result string, do func(*os.Process)) {
	c.w.t.Helper()
	select {
	case <-c.err.written:
	case <-time.After(patience):
		c.w.t.Fatal("it never showed that it waits")
	}
	do(c.command.Process)
	err := c.command.Wait()
	var exit *exec.ExitError
	var v verdict
	if !errors.As(err, &exit) || exit.ExitCode() != status || json.Unmarshal(c.out.Bytes(), &v) != nil || v.Verdict.Result != result || v.Verdict.ExitCode != status {
		c.w.t.Errorf("%v, want exit status %d\n%s", err, status, c.out.String())
	}
}
