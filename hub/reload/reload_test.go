package reload

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestFile follows a file through changes and damage. Time is synctest's.
func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		var used []string
		var said text
		config := Config[string]{Setting: "client-ca", Same: func(a, b string) bool { return a == b }, Use: func(s string) error {
			if s == "refused" {
				return errors.New("it is " + s)
			}
			used = append(used, s)
			return nil
		},
			Logger: slog.New(slog.NewTextHandler(&said, nil)), Read: func() (string, error) {
				text, err := os.ReadFile(path)
				if err == nil && strings.HasPrefix(string(text), "broken") {
					err = errors.New("it is " + string(text))
				}
				return string(text), err
			}}
		if _, err := Open(config); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("without a file: %v", err)
		}
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("one")
		f, err := Open(config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		for _, step := range []struct {
			text, use, says string
			broken          bool
		}{
			{"one", "one", "", false},
			{"two", "two", "has changed", false},
			{"broken", "two", "it is broken", true},
			{"broken", "two", "", true}, // said once
			{"broken still", "two", "it is broken still", true},
			{"refused", "two", "it is refused", true},
			{"two", "two", "good again", false},
			{"broken", "two", "it is broken", true},
			{"three", "three", "has changed", false},
		} {
			write(step.text)
			time.Sleep(every)
			synctest.Wait()
			if got := f.Get(); got != step.use || used[len(used)-1] != step.use || (f.Err() != nil) != step.broken {
				t.Errorf("with %q, %q is in use, error %v", step.text, got, f.Err())
			}
			if said := said.take(); !strings.Contains(said, step.says) || step.says == "" && said != "" {
				t.Errorf("with %q, the log says %q", step.text, said)
			}
		}
		write("broken")
		time.Sleep(every)
		synctest.Wait()
		if err := f.Err(); err == nil || !strings.Contains(err.Error(), "--client-ca") || strings.Contains(err.Error(), "it is") {
			t.Errorf("whoever asks is told %v", err)
		}
		if got := strings.Join(used, " "); got != "one two three" {
			t.Errorf("used were %s", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// text is what somebody writes while another reads it.
type text struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said.Write(p)
}

// take answers what has been written since it was asked last.
func (t *text) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.said.Reset()
	return t.said.String()
}
