package scenario

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// gitServer serves the repositories in a folder by `git http-backend`, over TLS.
type gitServer struct {
	*httptest.Server
	dir string
	// ca is a file with what the server is known by.
	ca string

	mu sync.Mutex
	// requests counts them, whatever they ask for.
	requests int
}

func newGitServer(ctx context.Context, dir string) (*gitServer, error) {
	path, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("git is needed: %w", err)
	}
	s := &gitServer{dir: filepath.Join(dir, "served"), ca: filepath.Join(dir, "ca.pem")}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Dir: s.dir, Env: []string{
		"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		s.mu.Unlock()
		backend.ServeHTTP(w, r)
	}))
	return s, os.WriteFile(s.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)
}

func (s *gitServer) url(repository string) string { return s.URL + "/" + repository }

func (s *gitServer) askedAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// checkout is where somebody works at a repository that is served.
type checkout struct{ dir string }

// create makes a repository of files, and serves it.
func (s *gitServer) create(ctx context.Context, repository string, files map[string]string) (*checkout, error) {
	w := &checkout{dir: filepath.Join(filepath.Dir(s.dir), repository)}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return nil, err
	}
	served := filepath.Join(s.dir, repository)
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"init", "-q", "-b", "main", "--bare", served}, {"remote", "add", "origin", served}} {
		if err := w.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return w, w.push(ctx, files)
}

// push writes files, and pushes them as a commit.
func (w *checkout) push(ctx context.Context, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", "change"}, {"push", "-q", "origin", "main"}} {
		if err := w.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (w *checkout) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
