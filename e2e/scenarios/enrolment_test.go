package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// Every enrolment that must not come about ends with words that tell what is wrong, and the fleet is as before.
func TestRefusedEnrolments(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	used, err := fleet.Token(w.ctx, w.cli, lisbon, "")
	w.must(err)
	w.must(w.spoke(lisbon).Start(w.ctx, used))
	w.do("wait", "cluster/"+lisbon, "--for", "connected", "--timeout", patience.String())

	w.fails(w.spokeAs("used", tokyo, nil), used, "used already")

	var short struct {
		Token   string
		Expires time.Time
	}
	w.must(json.Unmarshal([]byte(w.do("enroll", "short", "-o", "json", "--no-wait", "--ttl", "1s")), &short))
	w.eventually("the token has expired", func() error {
		if left := time.Until(short.Expires); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	w.fails(w.spokeAs("expired", tokyo, nil), short.Token, "has expired")

	foreign, err := fleet.Token(w.ctx, other.cli, "foreign", "")
	w.must(err)
	w.fails(w.spokeAs("foreign", tokyo, nil), foreign, "not the hub that made the enrolment token", w.hub.SpokeAddress())
	w.fails(w.spokeAs("none", tokyo, nil), "", "no enrolment token", "yardarm enroll")
	w.fails(w.spokeAs("garbled", tokyo, nil), "letmein", "enrolment token is not usable")
	w.refused(1, []string{"enroll", lisbon, "--no-wait"}, lisbon, "enrolled already")

	// A hub that does not answer may answer later: that is waited for, and said.
	token, err := fleet.Token(w.ctx, w.cli, tokyo, "")
	w.must(err)
	lost := w.spokeAs("lost", tokyo, func(c *fleet.SpokeConfig) { c.Hub = "127.0.0.1:1" })
	w.must(lost.Launch(token))
	w.eventually("the spoke says that its hub does not answer", func() error {
		if w.logged(lost, "the hub does not answer at 127.0.0.1:1") == 0 {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	w.must(lost.Stop())

	// None of them has used up what is good, nor come into being.
	w.must(w.spoke(tokyo).Start(w.ctx, token))
	w.do("wait", "cluster/"+tokyo, "--for", "connected", "--timeout", patience.String())
	if c, err := w.cluster("short"); c.GetStatus().GetPhase() != "Enrolling" {
		t.Errorf("the cluster of the expired token is %s (%v)", c.GetStatus().GetPhase(), err)
	}

	w.must(w.hub.Run(w.ctx, "backup", filepath.Join(w.hub.DataDir(), "backup"), "--data-dir", w.hub.DataDir()).Err())
	unused, err := fleet.Token(w.ctx, w.cli, "unused", "")
	w.must(err)
	for _, token := range []string{used, short.Token, token, unused} {
		w.nowhere(token)
	}
}

// A spoke that another fleet has enrolled is refused, and says so.
func TestSpokeOfAnotherFleet(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	w.enrol(boston)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.must(w.spokes[boston].Stop())
	w.must(w.hub.Stop())

	stray := w.spokeAs("stray", boston, func(c *fleet.SpokeConfig) { c.Hub = other.hub.SpokeAddress() })
	w.must(os.CopyFS(stray.StateDir(), os.DirFS(w.spokes[boston].StateDir())))
	w.must(os.Chmod(filepath.Join(stray.StateDir(), "identity", "identity.json"), 0o600))
	w.must(stray.Start(w.ctx, ""))
	w.eventually("the spoke says that this is another hub", func() error {
		if w.logged(stray, "stream to the hub ended", other.hub.SpokeAddress(), "certificate") == 0 {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	if out := other.do("get", "clusters", "-o", "name"); out != "" {
		t.Errorf("the other hub has clusters: %s", out)
	}
	w.edit(boston, "one", "by hand")
	w.eventuallyHolds(boston, "one", "1")
}

// fails starts a spoke that has to end by itself and say the words.
func (w *world) fails(s *fleet.Spoke, token string, words ...string) {
	w.t.Helper()
	w.must(s.Launch(token))
	select {
	case <-s.Process().Done():
	case <-time.After(patience):
		w.t.Errorf("the spoke runs on:\n%s", w.read(spokeLog(s)))
		return
	}
	text := w.read(spokeLog(s))
	if s.Process().ExitCode() != 1 {
		w.t.Errorf("it ended with %d", s.Process().ExitCode())
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			w.t.Errorf("it does not say %q:\n%s", word, text)
		}
	}
}

// nowhere looks for a token's secret in all that hub and spokes have written.
func (w *world) nowhere(token string) {
	w.t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 4 {
		w.t.Fatalf("a token has %d parts", len(parts))
	}
	secret := []byte(parts[2])
	dirs := []string{filepath.Dir(w.hub.DataDir())}
	for _, s := range w.spokes {
		dirs = append(dirs, filepath.Dir(s.StateDir()))
	}
	for _, dir := range dirs {
		files := 0
		w.must(filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			if bytes.Contains(text, secret) {
				w.t.Errorf("a token's secret is in %s", path)
			}
			return err
		}))
		if files == 0 {
			w.t.Errorf("nothing is in %s", dir)
		}
	}
}
