// Package run is what both programs do around their work: signals become the end of a context, and a second one ends the
// process at once; logs go to stderr; metrics and health are served beside.
package run

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Interrupted is the exit status after an interrupt, as shells have it: 128 and the signal's number.
const Interrupted = 130

// Context answers a context that ends with SIGINT or SIGTERM. The second signal exits.
func Context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
			signal.Stop(signals)
			return
		}
		<-signals
		os.Exit(Interrupted)
	}()
	return ctx, cancel
}

// Logger answers a logger on stderr: JSON for machines, text for people; level is debug, info, warn or error.
func Logger(format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
}
