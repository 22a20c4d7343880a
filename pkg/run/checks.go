package run

import (
	"fmt"
	"net/http"
	"strings"
)

// Check is one thing that has to be so for a program to be ready.
type Check struct {
	Name string
	// Ready answers why it is not so, in one line; nil if it is.
	Ready func() error
}

// Checks answer HTTP requests as Kubernetes does for its own: "ok", or 503 and each check with what it says. With ?verbose all are
// told in any case.
type Checks []Check

// ServeHTTP implements http.Handler.
func (c Checks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var lines strings.Builder
	ready := true
	for _, check := range c {
		if err := check.Ready(); err != nil {
			ready = false
			fmt.Fprintf(&lines, "[-]%s failed: %s\n", check.Name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Fprintf(&lines, "[+]%s ok\n", check.Name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch _, verbose := r.URL.Query()["verbose"]; {
	case !ready:
		w.WriteHeader(http.StatusServiceUnavailable)
		lines.WriteString("not ready\n")
	case !verbose:
		lines.Reset()
		lines.WriteString("ok\n")
	default:
		lines.WriteString("ready\n")
	}
	_, _ = w.Write([]byte(lines.String()))
}

// Told is what a program says of itself in a text of its own.
type Told func() (string, error)

// ServeHTTP implements http.Handler.
func (t Told) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	text, err := t()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, text)
}
