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
// is answered by ready. It serves until ctx ends.
func Health(ctx context.Context, address string, metrics http.Handler, ready http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", ready)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: headerTimeout}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics and health: %w", err)
	}
	return nil
}
