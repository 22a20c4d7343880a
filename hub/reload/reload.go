// Package reload keeps what the hub was told in files up with them: they are read again while it runs, so that a certificate, a secret or a list of identity providers is
// changed without a restart. A file that is broken, or half replaced, changes nothing: what it said before stays in use, and [File.Err] and the log say so.
//
// What a file means is for others to know; the composition root (package hub) puts the two together.
package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// every is how often a file is read again: people who have changed it wait for it, and whoever renews a certificate does so days before its end.
const every = 10 * time.Second

// Config of a File. Setting, Read, Same and Logger are needed.
type Config[T any] struct {
	// Setting is the hub's flag that names the file.
	Setting string
	// Read reads the file, and those that it names. Its errors say which of them is wrong and why, and no secret.
	Read func() (T, error)
	// Same tells whether two readings mean the same.
	Same func(a, b T) bool
	// Use is called with each reading that is another than the one before, by Open with the first. One that it refuses is as broken as one that cannot be read. May be nil.
	Use func(T) error
	// Every is how often it is read. Default 10 s.
	Every  time.Duration
	Logger *slog.Logger
}

// File is what a file says. Safe for concurrent use.
type File[T any] struct {
	cfg Config[T]

	// mu guards what follows.
	mu    sync.Mutex
	value T
	err   error // of the last reading
}

// Open reads a file, which has to be good at the start.
func Open[T any](c Config[T]) (*File[T], error) {
	if c.Setting == "" || c.Read == nil || c.Same == nil || c.Logger == nil {
		return nil, errors.New("reload: a setting, what reads it, what compares it and a logger are needed")
	}
	if c.Every <= 0 {
		c.Every = every
	}
	if c.Use == nil {
		c.Use = func(T) error { return nil }
	}
	value, err := c.Read()
	if err == nil {
		err = c.Use(value)
	}
	if err != nil {
		return nil, err
	}
	return &File[T]{cfg: c, value: value}, nil
}

// Setting is the hub's flag that names the file.
func (f *File[T]) Setting() string { return f.cfg.Setting }

// Get answers what the file said when it was good last.
func (f *File[T]) Get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value
}

// Err says that the file is broken now. Why is in the log: whoever asks whether the hub is well need not read its files.
func (f *File[T]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		return nil
	}
	return fmt.Errorf("what --%s names is broken, and what it said before stays in use; the hub's log says why", f.cfg.Setting)
}

// Run reads the file again and again until ctx ends, and returns nil then.
func (f *File[T]) Run(ctx context.Context) error {
	ticker := time.NewTicker(f.cfg.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f.again()
		}
	}
}

// again reads the file once. Only Run calls it, so readings are used in their order.
func (f *File[T]) again() {
	value, err := f.cfg.Read()
	changed := err == nil && !f.cfg.Same(f.Get(), value)
	if changed {
		err = f.cfg.Use(value)
	}
	f.mu.Lock()
	was := f.err
	f.err = err
	if changed && err == nil {
		f.value = value
	}
	f.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		f.cfg.Logger.Warn("a file of the configuration is broken, and what it said before stays in use", "setting", f.cfg.Setting, "error", err)
	case err != nil:
	case changed:
		f.cfg.Logger.Info("a file of the configuration has changed, and is in use", "setting", f.cfg.Setting)
	case was != nil:
		f.cfg.Logger.Info("a file of the configuration is good again, as it was before", "setting", f.cfg.Setting)
	}
}
