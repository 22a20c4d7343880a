package dashboard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	built := fstest.MapFS{
		".gitignore":       {Data: []byte("*")},
		"index.html":       {Data: []byte("<!doctype html>")},
		"assets/app.js":    {Data: []byte("plain")},
		"assets/app.js.br": {Data: []byte("brotli")},
		"assets/app.js.gz": {Data: []byte("gzip")},
	}
	for _, tc := range []struct {
		name, path, accept    string
		status                int
		body, encoding, cache string
		files                 fstest.MapFS
	}{
		{"the page", "/", "", 200, "<!doctype html>", "", "no-cache", built},
		{"the page, whatever its path", "/clusters/edge-1", "br", 200, "<!doctype html>", "", "no-cache", built},
		{"the best encoding", "/assets/app.js", "gzip, deflate, br", 200, "brotli", "br", "immutable", built},
		{"another", "/assets/app.js", "gzip", 200, "gzip", "gzip", "immutable", built},
		{"one that is refused", "/assets/app.js", "br;q=0, gzip;q=0.5", 200, "gzip", "gzip", "immutable", built},
		{"none", "/assets/app.js", "", 200, "plain", "", "immutable", built},
		{"a file of another build", "/assets/old.js", "", 404, "reload", "", "", built},
		{"nothing above the folder", "/assets/../../dashboard.go", "", 200, "<!doctype html>", "", "no-cache", built},
		{"what is not for people", "/.gitignore", "", 200, "<!doctype html>", "", "no-cache", built},
		{"no pages", "/", "", 404, "make build", "", "", fstest.MapFS{".gitignore": {}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler := newHandler(tc.files)
			r := httptest.NewRequest(http.MethodGet, tc.path, nil)
			r.Header.Set("Accept-Encoding", tc.accept)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) || w.Header().Get("Content-Encoding") != tc.encoding || !strings.Contains(w.Header().Get("Cache-Control"), tc.cache) {
				t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
			}
			if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("policy %q", policy)
			}
			if w.Code != 200 {
				return
			}
			r.Header.Set("If-None-Match", w.Header().Get("ETag"))
			again := httptest.NewRecorder()
			handler.ServeHTTP(again, r)
			if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("with its tag: %d %q", again.Code, again.Body)
			}
		})
	}
}
