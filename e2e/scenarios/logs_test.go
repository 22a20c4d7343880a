package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

func (w *world) hubLog() string { return filepath.Join(w.hub.DataDir(), "..", "yardarm-hub.log") }

func spokeLog(s *fleet.Spoke) string { return filepath.Join(s.StateDir(), "..", "yardarm-spoke.log") }

func (w *world) read(path string) string {
	w.t.Helper()
	text, err := os.ReadFile(path)
	w.must(err)
	return string(text)
}

// count counts the lines that have all of the words.
func count(text string, words ...string) (n int) {
lines:
	for line := range strings.Lines(text) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		n++
	}
	return n
}

// logged counts the lines of a spoke's log that have all of the words.
func (w *world) logged(s *fleet.Spoke, words ...string) int {
	w.t.Helper()
	return count(w.read(spokeLog(s)), words...)
}

// newLine answers a question that is answered with nil once a log has a line with all of the words that it does not have now.
func (w *world) newLine(path string, words ...string) func() error {
	w.t.Helper()
	before := count(w.read(path), words...)
	return func() error {
		if count(w.read(path), words...) == before {
			return fmt.Errorf("%s says no more of %q", filepath.Base(path), words)
		}
		return nil
	}
}
