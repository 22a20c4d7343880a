package run

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// headerTimeout is for a client that connects and says nothing.
const headerTimeout = 5 * time.Second

// Health serves, without TLS, what the machine or pod that a program runs on may ask: /metrics, /livez, and /readyz, which
// answers what ready says. It serves until ctx ends.
func Health(ctx context.Context, address string, metrics http.Handler, ready func() (string, error)) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		text, err := ready()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, text)
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: headerTimeout}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	return nil
}
