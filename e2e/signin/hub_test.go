package signin

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/provider"
	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/pkg/cli"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// patience is how long anything may take that usually takes a second: the machine is shared.
const patience = time.Minute

// audience is what jobs ask a token for.
const audience = "https://hub.example.com"

// world is a hub that trusts a provider, and a person's file of contexts.
type world struct {
	*provider.Provider
	t *testing.T
	// admin and config are files of contexts: the administrator's, and that of somebody who has none yet.
	admin, config string
	// server and ca are how to reach the hub.
	server, ca string
	// cert and key are files of a client certificate that the hub takes: of user ann, in group ops.
	cert, key string
	// file is that of identity providers, and log what the hub says.
	file string
	log  *output
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{Provider: provider.Start(t), t: t, admin: filepath.Join(dir, "data", hub.AdminFile), config: filepath.Join(dir, "person", "config.yaml"), ca: filepath.Join(dir, "ca.pem"),
		file: filepath.Join(dir, "oidc.yaml"), log: &output{}}
	write(t, w.file, fmt.Appendf(nil, `apiVersion: yardarm.dev/v1
kind: IdentityProviders
providers:
- name: corp
  issuer: %[1]s
  ca: %[2]s
  audiences: [%[3]s]
  username: {claim: sub}
  groups: [{claim: groups}, {claim: repository, prefix: "repo:"}]
  login: {clientID: yardarm}
- {name: github, issuer: "https://127.0.0.1:1", audiences: [a]}
`, w.Issuer, w.CA, audience))
	w.cert, w.key = filepath.Join(dir, "ann.crt"), filepath.Join(dir, "ann.key")
	cert, key := provider.Certificate(t, pkix.Name{CommonName: "ann", Organization: []string{"ops"}})
	write(t, w.cert, cert)
	write(t, w.key, key)
	h, err := hub.New(hub.Config{ClientCA: w.cert, DataDir: filepath.Dir(w.admin), Listen: "127.0.0.1:0", SpokeListen: "127.0.0.1:0", Addresses: []string{"127.0.0.1"}, OIDCConfig: w.file,
		ReadAgain: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	await(t, "the hub serves", func() bool {
		return w.as(w.admin, nil, "get", "hub").code != cli.ExitError || w.as(w.admin, nil, "get", "bundles").code == 0
	})
	where, err := clientconfig.Load(w.admin)
	if err != nil {
		t.Fatal(err)
	}
	w.server = strings.TrimPrefix(where.Contexts[0].Server, "https://")
	write(t, w.ca, []byte(where.Contexts[0].CA))
	return w
}

// result is what a command has done.
type result struct {
	code     int
	out, err string
}

// as runs the CLI with a file of contexts.
func (w *world) as(config string, env map[string]string, args ...string) result {
	var out, errs output
	code := cli.Run(w.t.Context(), streams(config, env, &out, &errs), args)
	return result{code, out.String(), errs.String()}
}

// me runs it as the person.
func (w *world) me(args ...string) result { return w.as(w.config, nil, args...) }

// must runs it as the administrator, whom it may not fail.
func (w *world) must(text string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "resources.yaml")
	write(w.t, file, []byte(text))
	if r := w.as(w.admin, nil, "apply", "-f", file); r.code != 0 {
		w.t.Fatal(r.err)
	}
}

// bind gives a role to a user or a group.
func (w *world) bind(name, role, kind, who string) {
	w.t.Helper()
	w.must(fmt.Sprintf("apiVersion: yardarm.dev/v1\nkind: RoleBinding\nmetadata: {name: %s}\nspec: {role: %s, subjects: [{kind: %s, name: %q}]}\n", name, role, kind, who))
}

// signIn runs a login while somebody does in a browser what it asks for.
func (w *world) signIn(act func(said func(part string) string), args ...string) result {
	w.t.Helper()
	var out, errs output
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(w.t.Context(), streams(w.config, nil, &out, &errs), append([]string{"login"}, args...))
	}()
	act(func(prefix string) (found string) {
		await(w.t, "the command says "+prefix, func() bool {
			found = link(errs.String(), prefix)
			return found != "" || len(ended) > 0
		})
		return found
	})
	select {
	case code := <-ended:
		return result{code, out.String(), errs.String()}
	case <-time.After(patience):
		w.t.Fatalf("the login does not end:\n%s", errs.String())
		return result{}
	}
}

func streams(config string, env map[string]string, out, errs *output) cli.IO {
	return cli.IO{In: strings.NewReader(""), Out: out, Err: errs, Width: func() int { return 0 }, Now: time.Now, After: time.After, Getenv: func(name string) string {
		if name == clientconfig.EnvPath {
			return config
		}
		return env[name]
	}}
}

// output is what a command writes while a test reads it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await polls until check is content.
func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
