package reconcile

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// writeCounter counts requests that write, and those that read; watches, which are renewed, are left out. Events are told apart:
// they are written when their turn comes.
type writeCounter struct {
	mu      sync.Mutex
	counts  map[string]int // by method
	paths   []string       // of writes
	events  int
	reads   map[string]int // by path; further pages of a list are no others
	watches map[string]int // open ones, by path
	audit   []audited
}

// audited is a write, with the user that it was made as; empty for the spoke itself. A dry one only asks.
type audited struct {
	method, path, user string
	dry                bool
}

func (w *writeCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		watches := r.URL.Query().Get("watch") == "true"
		w.mu.Lock()
		if w.counts == nil {
			w.counts, w.reads, w.watches = map[string]int{}, map[string]int{}, map[string]int{}
		}
		events := strings.HasPrefix(r.URL.Path, "/apis/events.k8s.io/")
		if !watches && !events {
			w.counts[r.Method]++
		}
		switch {
		case watches:
		case events:
			w.events++
		case r.Method == http.MethodGet:
			if !r.URL.Query().Has("continue") {
				w.reads[r.URL.Path]++
			}
		default:
			w.paths = append(w.paths, r.Method+" "+r.URL.Path)
			w.audit = append(w.audit, audited{r.Method, r.URL.Path, r.Header.Get("Impersonate-User"), r.URL.Query().Has("dryRun")})
		}
		w.mu.Unlock()
		response, err := next.RoundTrip(r)
		if err == nil && watches {
			w.watching(r.URL.Path, 1)
			response.Body = &watchBody{ReadCloser: response.Body, closed: sync.OnceFunc(func() { w.watching(r.URL.Path, -1) })}
		}
		return response, err
	})
}

// watching notes that a watch has begun, or ended.
func (w *writeCounter) watching(path string, more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watches[path] += more
}

// watched tells how many watches of a path are open.
func (w *writeCounter) watched(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watches[path]
}

// read tells how often a path was read.
func (w *writeCounter) read(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads[path]
}

// watchBody is a watch's stream.
type watchBody struct {
	io.ReadCloser
	closed func()
}

func (b *watchBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// take answers the paths written since the last call.
func (w *writeCounter) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	paths := w.paths
	w.paths, w.audit = nil, nil
	return paths
}

// told answers how many requests wrote events.
func (w *writeCounter) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// count answers how many requests there were, but for watches and events.
func (w *writeCounter) count() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, of := range w.counts {
		n += of
	}
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
