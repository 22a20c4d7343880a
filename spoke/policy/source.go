package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// lookEvery is how often the file is read: a freeze is to hold soon, and reading some kilobytes costs nothing. A file in a
// ConfigMap's volume is replaced through a link, which notifications of the file system miss easily.
const lookEvery = 2 * time.Second

// Config of a Source.
type Config struct {
	// File to read. Empty: Policy is in force, and stays so.
	File string
	// Policy where there is no file. Default: Default(Namespace).
	Policy *Policy
	// Namespace is the spoke's own.
	Namespace string
	// Interval between looks at the file. Default 2 s.
	Interval   time.Duration
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Source has the policy that is in force. Safe for concurrent use.
type Source struct {
	config  Config
	current atomic.Pointer[Policy]
	broken  atomic.Pointer[Broken] // nil while the file is in force as it is
	changed chan struct{}          // cap 1

	// data is what the policy in force was read from, and read when. Run's goroutine only, after Open.
	data []byte
	read time.Time
}

// Broken is a file that is not in force as it is.
type Broken struct {
	// Err is why, and Since since when.
	Err   error
	Since time.Time
	// InForce is the policy that was read before, at Read, and stays in force.
	InForce *Policy
	Read    time.Time
}

// String is as in: the policy file cannot be used: line 1: …; the policy of 2026-01-31T12:00:00Z stays in force (enforced)
func (b *Broken) String() string {
	return fmt.Sprintf("the policy file cannot be used: %v; the policy of %s stays in force (%s)", b.Err, b.Read.UTC().Format(time.RFC3339), b.InForce.Mode())
}

// Open reads the file. A file that cannot be read, or that is no policy, is an error here: a spoke that began without its
// policy would do what it is not allowed to.
func Open(c Config) (*Source, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Interval <= 0 {
		c.Interval = lookEvery
	}
	if c.Policy == nil {
		c.Policy = Default(c.Namespace)
	}
	s := &Source{config: c, changed: make(chan struct{}, 1), read: time.Now()}
	s.current.Store(c.Policy)
	if c.File != "" {
		data, err := read(c.File)
		if err == nil {
			var p *Policy
			if p, err = Parse(data, c.Namespace); err == nil {
				s.current.Store(p)
				s.data = data
			}
		}
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", c.File, err)
		}
	}
	return s, s.register()
}

// read reads a file up to a little more than a policy may have, so that Parse sees that it is too large.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is told already
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

func (s *Source) register() error {
	if s.config.Registerer == nil {
		return nil
	}
	for _, mode := range []string{ModeEnforced, ModeReadOnly, ModeFrozen} {
		if err := s.gauge("yardarm_spoke_policy_mode", "1 for what bundles may do now: be applied (enforced), only be compared (read-only), or nothing (frozen).",
			prometheus.Labels{"mode": mode}, func() bool { return s.Current().Mode() == mode }); err != nil {
			return err
		}
	}
	return s.gauge("yardarm_spoke_policy_broken", "1 while the policy file cannot be used as it is, and the policy before it stays in force.",
		nil, func() bool { return s.Broken() != nil })
}

func (s *Source) gauge(name, help string, labels prometheus.Labels, is func() bool) error {
	g := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
		if is() {
			return 1
		}
		return 0
	})
	if err := s.config.Registerer.Register(g); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// Current is the policy in force.
func (s *Source) Current() *Policy { return s.current.Load() }

// Changed tells, once for any number of changes, that Current or Broken answers something else. It has one reader.
func (s *Source) Changed() <-chan struct{} { return s.changed }

// Broken answers why the file is not in force as it is now; nil if it is.
func (s *Source) Broken() *Broken { return s.broken.Load() }

// Run reads the file again and again until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	if s.config.File == "" {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(s.config.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.look()
		}
	}
}

// look puts the file in force if it has changed, and keeps what is in force if it is broken.
func (s *Source) look() {
	data, err := read(s.config.File)
	if err == nil && bytes.Equal(data, s.data) {
		if s.broken.Swap(nil) != nil {
			s.config.Logger.Info("the policy file is in force again", "file", s.config.File)
			s.tell()
		}
		return
	}
	var p *Policy
	if err == nil {
		p, err = Parse(data, s.config.Namespace)
	}
	if err != nil {
		next := &Broken{Err: err, Since: time.Now(), InForce: s.Current(), Read: s.read}
		if old := s.Broken(); old != nil {
			if old.Err.Error() == err.Error() {
				return
			}
			next.Since = old.Since
		}
		s.config.Logger.Error("the policy file is broken; the policy before it stays in force", "file", s.config.File, "error", err)
		s.broken.Store(next)
		s.tell()
		return
	}
	s.broken.Store(nil)
	s.data, s.read = data, time.Now()
	s.current.Store(p)
	s.config.Logger.Info("another policy is in force", "file", s.config.File, "mode", p.Mode(), "freeze", p.Freeze)
	s.tell()
}

func (s *Source) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
