package spokes

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// waits reads the spokes' log for what is told nowhere else: how long they wait before they dial again, and why.
type waits struct {
	mu      sync.Mutex
	longest time.Duration
	last    string // the newest warning
}

// take answers the longest wait since the last take, and the newest warning.
func (w *waits) take() (longest time.Duration, last string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	longest, last = w.longest, w.last
	w.longest, w.last = 0, ""
	return longest, last
}

// Enabled implements slog.Handler.
func (w *waits) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (w *waits) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	var wait time.Duration
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "retry_in":
			wait = a.Value.Duration()
		case "error":
			text += ": " + a.Value.String()
		}
		return true
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.longest, w.last = max(w.longest, wait), text
	return nil
}

// WithAttrs implements slog.Handler; which spoke it was does not matter.
func (w *waits) WithAttrs([]slog.Attr) slog.Handler { return w }

// WithGroup implements slog.Handler.
func (w *waits) WithGroup(string) slog.Handler { return w }
