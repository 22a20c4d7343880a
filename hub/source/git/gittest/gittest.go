// Package gittest has repositories and servers for tests: Git itself, behind `git http-backend` and TLS.
package gittest

import (
	"cmp"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Repository is one that people push to.
type Repository struct {
	testing.TB
	// Dir is its working tree.
	Dir string
}

// New makes a repository in a directory of its own, with the branch main and no commit.
func New(t testing.TB) *Repository {
	t.Helper()
	r := &Repository{t, filepath.Join(t.TempDir(), "repo")}
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git("init", "-q", "-b", "main")
	return r
}

// Beside makes one more repository where a server of this one serves it, too.
func (r *Repository) Beside(name string) *Repository {
	r.Helper()
	other := &Repository{r.TB, filepath.Join(filepath.Dir(r.Dir), name)}
	if err := os.Mkdir(other.Dir, 0o755); err != nil {
		r.Fatal(err)
	}
	other.Git("init", "-q", "-b", "main")
	return other
}

// Submodule commits a submodule at a path, as `git submodule add` does.
func (r *Repository) Submodule(path, url, commit string) string {
	r.Helper()
	if err := os.MkdirAll(filepath.Join(r.Dir, path), 0o755); err != nil { // without, the next commit would leave it out
		r.Fatal(err)
	}
	r.Git("config", "-f", ".gitmodules", "submodule."+path+".path", path)
	r.Git("config", "-f", ".gitmodules", "submodule."+path+".url", url)
	r.Git("add", ".gitmodules")
	r.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
	r.Git("commit", "-q", "-m", "submodule "+path)
	return r.Git("rev-parse", "HEAD")
}

// Git runs git in it, and answers what it prints.
func (r *Repository) Git(args ...string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "git", args...)
	cmd.Dir = r.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Write writes a file.
func (r *Repository) Write(name, text string) {
	r.Helper()
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
}

// Commit writes a file, commits all there is, and answers the commit's hash.
func (r *Repository) Commit(subject, name, text string) string {
	r.Helper()
	r.Write(name, text)
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", subject)
	return r.Git("rev-parse", "HEAD")
}

// SignWith has all commits signed with a private key from now on, and tags if they are made with -s. A program may stand in for ssh-keygen.
func (r *Repository) SignWith(key, program string) {
	r.Helper()
	file := filepath.Join(r.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		r.Fatal(err)
	}
	for name, value := range map[string]string{"gpg.format": "ssh", "user.signingkey": file, "commit.gpgsign": "true", "gpg.ssh.program": cmp.Or(program, "ssh-keygen")} {
		r.Git("config", name, value)
	}
}

// Server serves one repository at URL.
type Server struct {
	*httptest.Server
	// Repo is where it is, as in https://127.0.0.1:1234/repo, and CA what the server is known by, in PEM.
	Repo string
	CA   []byte
	// Refs and Packs count the requests of each kind.
	Refs, Packs atomic.Int32
	// Allow, if set, says of a request whether it is answered.
	Allow func(*http.Request) bool
}

// Serve serves a repository over TLS. With a configuration, that has the server's certificate.
func Serve(r *Repository, config *tls.Config) *Server {
	r.Helper()
	s := &Server{}
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		r.Fatal(err)
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Dir: r.Dir, Env: []string{
		"GIT_PROJECT_ROOT=" + filepath.Dir(r.Dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if s.Allow != nil && !s.Allow(request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if request.Method == http.MethodPost {
			s.Packs.Add(1)
		} else {
			s.Refs.Add(1)
		}
		backend.ServeHTTP(w, request)
	}))
	s.TLS = config
	s.StartTLS()
	r.Cleanup(s.Close)
	s.Repo = s.URL + "/repo"
	s.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return s
}
