// Package charttest has a repository of charts for tests, behind TLS.
package charttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Repository is one at URL, known by CA, in PEM.
type Repository struct {
	*httptest.Server
	CA []byte
	// Indexes and Archives count the requests of each kind that were answered in full.
	Indexes, Archives, Unchanged atomic.Int32
	// Allow, if set, says of a request whether it is answered.
	Allow func(*http.Request) bool

	mu sync.Mutex
	// index has an entry for each version; Add and Replace change it.
	index    map[string][]string
	archives map[string][]byte
}

// Serve serves a repository without charts.
func Serve(t testing.TB) *Repository {
	r := &Repository{index: make(map[string][]string), archives: make(map[string][]byte)}
	r.Server = httptest.NewTLSServer(r)
	t.Cleanup(r.Close)
	r.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	return r
}

// Add adds a version of a chart, and answers its digest. Files are by their path in the chart, and Chart.yaml is made where it is not among them.
func (r *Repository) Add(name, version string, files map[string]string) string {
	files = maps.Clone(files)
	if files["Chart.yaml"] == "" {
		files["Chart.yaml"] = fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version)
	}
	return r.Put(name, version, Pack(name, files))
}

// Put adds an archive as a version of a chart, and answers its digest.
func (r *Repository) Put(name, version string, archive []byte) string {
	sum := fmt.Sprintf("%x", sha256.Sum256(archive))
	file := fmt.Sprintf("%s-%s.tgz", name, version)
	r.Entry(name, fmt.Sprintf("{version: %q, digest: %s, urls: [%q]}", version, sum, file))
	r.Replace(file, archive)
	return "sha256:" + sum
}

// Entry adds an entry to the index.
func (r *Repository) Entry(name, entry string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.index[name] = append(r.index[name], entry)
}

// Replace changes what is behind a file's name.
func (r *Repository) Replace(file string, archive []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.archives[file] = archive
}

// Pack makes an archive of files in a directory, as `helm package` does.
func Pack(dir string, files map[string]string) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// Writing to memory does not fail.
		_ = w.WriteHeader(&tar.Header{Name: dir + "/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[name]))
	}
	_, _ = w.Close(), zip.Close()
	return out.Bytes()
}

func (r *Repository) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Allow != nil && !r.Allow(request) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := request.URL.Path[1:]
	if name == "index.yaml" {
		r.serveIndex(w, request)
		return
	}
	data, ok := r.archives[name]
	if !ok {
		http.NotFound(w, request)
		return
	}
	r.Archives.Add(1)
	_, _ = w.Write(data)
}

func (r *Repository) serveIndex(w http.ResponseWriter, request *http.Request) {
	var index bytes.Buffer
	fmt.Fprint(&index, "apiVersion: v1\nentries:\n")
	for _, name := range slices.Sorted(maps.Keys(r.index)) {
		fmt.Fprintf(&index, "  %s:\n", name)
		for _, entry := range r.index[name] {
			fmt.Fprintf(&index, "  - %s\n", entry)
		}
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(index.Bytes())))
	if request.Header.Get("If-None-Match") == w.Header().Get("ETag") {
		r.Unchanged.Add(1)
	} else {
		r.Indexes.Add(1)
	}
	http.ServeContent(w, request, "index.yaml", time.Time{}, bytes.NewReader(index.Bytes()))
}
