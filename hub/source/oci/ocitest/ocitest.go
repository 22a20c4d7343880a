// Package ocitest has an OCI registry for tests: Debian's docker-registry, behind TLS.
package ocitest

import (
	"bytes"
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// program is what Debian calls it.
const program = "docker-registry"

// Types of layers.
const (
	Chart   = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	Archive = "application/vnd.cncf.flux.content.v1.tar+gzip"
	File    = "text/yaml"
)

// Registry is one at Host, known by CA, in PEM.
type Registry struct {
	testing.TB
	Host string
	CA   []byte
	// Requests counts those that were for what the registry has.
	Requests atomic.Int32
	// Answer, if set, may answer a request in the registry's place, and says whether it did.
	Answer func(http.ResponseWriter, *http.Request) bool

	server *httptest.Server
}

// Serve starts a registry without artifacts. Where the program is missing, the test is skipped.
func Serve(t testing.TB) *Registry {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("there is no %s: bash .ci/tools registry installs it on Debian", program)
	}
	dir, err := os.MkdirTemp("", "registry-") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	start(t, path, dir, socket)

	r := &Registry{TB: t}
	front := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "registry"})
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	front.Transport = transport
	r.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.Requests.Add(1)
		if r.Answer == nil || !r.Answer(w, request) {
			front.ServeHTTP(w, request)
		}
	}))
	t.Cleanup(func() { r.server.Close(); transport.CloseIdleConnections() })
	r.Host = r.server.Listener.Addr().String()
	r.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	return r
}

// start runs the registry until the test ends.
func start(t testing.TB, path, dir, socket string) {
	t.Helper()
	config := filepath.Join(dir, "config.yml")
	text := "version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: " + dir + "/data}\nhttp: {net: unix, addr: " + socket + ", relativeurls: true}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, "serve", config)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer within 20 s", program)
		}
	}
}

// URL is that of a repository.
func (r *Registry) URL(repository string) string { return "oci://" + r.Host + "/" + repository }

// Layer is one of an artifact. A file has a title.
type Layer struct {
	Type, Title string
	Data        []byte
}

// Push makes an artifact of layers, tags it, and answers its digest.
func (r *Registry) Push(repository, tag string, layers ...Layer) string {
	r.Helper()
	to, err := remote.NewRepository(r.Host + "/" + repository)
	if err != nil {
		r.Fatal(err)
	}
	to.Client = &auth.Client{Client: r.server.Client()}
	var pushed []ocispec.Descriptor
	for _, layer := range layers {
		d := content.NewDescriptorFromBytes(layer.Type, layer.Data)
		if layer.Title != "" {
			d.Annotations = map[string]string{ocispec.AnnotationTitle: layer.Title}
		}
		if err := to.Push(r.Context(), d, bytes.NewReader(layer.Data)); err != nil && !strings.Contains(err.Error(), "already exists") {
			r.Fatal(err)
		}
		pushed = append(pushed, d)
	}
	manifest, err := oras.PackManifest(r.Context(), to, oras.PackManifestVersion1_1, "application/vnd.example.manifests", oras.PackManifestOptions{
		Layers: pushed, ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "2026-01-01T00:00:00Z"}})
	if err != nil {
		r.Fatal(err)
	}
	if err := to.Tag(r.Context(), manifest, tag); err != nil {
		r.Fatal(err)
	}
	return manifest.Digest.String()
}
