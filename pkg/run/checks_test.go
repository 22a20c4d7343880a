package run

import (
	"errors"
	"net/http/httptest"
	"testing"
)

func TestChecks(t *testing.T) {
	fine := func(name string) Check { return Check{name, func() error { return nil }} }
	full := Check{"disk", func() error { return errors.New("4 KiB are left\nof 1 GiB") }}
	for _, c := range []struct {
		name, query string
		checks      Checks
		status      int
		text        string
	}{
		{"ready", "", Checks{fine("store"), fine("disk")}, 200, "ok\n"},
		{"ready, all told", "?verbose", Checks{fine("store"), fine("disk")}, 200, "[+]store ok\n[+]disk ok\nready\n"},
		{"not ready", "", Checks{fine("store"), full}, 503, "[+]store ok\n[-]disk failed: 4 KiB are left of 1 GiB\nnot ready\n"},
		{"not ready, all told", "?verbose=1", Checks{full}, 503, "[-]disk failed: 4 KiB are left of 1 GiB\nnot ready\n"},
		{"nothing to check", "", nil, 200, "ok\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			c.checks.ServeHTTP(w, httptest.NewRequest("GET", "/readyz"+c.query, nil))
			if w.Code != c.status || w.Body.String() != c.text {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
}
