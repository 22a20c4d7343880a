package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	memdb "github.com/hashicorp/go-memdb"
	"github.com/prometheus/client_golang/prometheus"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Config says how to open a store.
type Config struct {
	// Dir is the data directory; it is made (mode 0700) if it does not exist. The store has it for itself.
	Dir string
	// Logger takes what happens outside of any call. Default: none.
	Logger *slog.Logger
	// Registerer takes the store's metrics. Default: none.
	Registerer prometheus.Registerer
	// Audit says how the audit log is kept. Default: there is none. A database that has one can be changed only with it.
	Audit *Audit
	// Clock gives the time for a new epoch and for backups. Default: time.Now.
	Clock func() time.Time
	// FlushInterval is how old observed state may get before it is on disk. Default: 5 s, which is what is lost of it in a crash.
	FlushInterval time.Duration
	// OpenFile opens the database file. Default: os.OpenFile. Tests give another one.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)
	// WrapLog puts something between the store and its log. Default: nothing. Tests hold commits up with it, and let them fail.
	WrapLog func(Log) Log
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.FlushInterval == 0 {
		c.FlushInterval = 5 * time.Second
	}
	if c.OpenFile == nil {
		c.OpenFile = os.OpenFile
	}
	if c.WrapLog == nil {
		c.WrapLog = func(l Log) Log { return l }
	}
}

// Store is the hub's state. All methods are safe for concurrent use.
type Store struct {
	config Config
	log    Log
	unlock func()
	rows   *memdb.MemDB

	queue chan *request
	// turn holds one token while somebody commits; what follows in this block belongs to its holder.
	turn  chan struct{}
	state state
	base  *storev1.Meta // all of Meta that does not change while the store is open
	audit *auditor      // nil for none
	dirty dirtyRows
	// history waits for the next flush.
	history history
	noted   time.Time // of the newest transition
	shared  bool      // the last batch had more than one request

	meta      atomic.Pointer[storev1.Meta]
	newest    atomic.Pointer[ReadTx] // replaced by each commit
	readOnly  atomic.Pointer[string] // set by SetReadOnly
	diskFull  atomic.Pointer[DiskFullError]
	flushDue  chan struct{} // capacity 1: tells Run that there is something to flush
	failed    chan struct{} // closed after failure is set
	failure   error
	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error

	subscriptions subscriptions
	metrics       *metrics
}

// Open opens the store in a data directory, and makes a new one if there is none. It reads all rows. Updates and reads work from then on; [Store.Run] adds
// the flushing of observed state. The errors are [*InUseError], [*FormatError], [*CorruptError], [*DiskFullError], and those of the file system.
func Open(config Config) (*Store, error) {
	config.setDefaults()
	unlock, err := lock(config.Dir, config.Clock())
	if err != nil {
		return nil, err
	}
	log, err := openLog(config)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open store: %w", err)
	}
	s, err := open(config, config.WrapLog(log))
	if err != nil {
		err = errors.Join(err, log.Close())
		unlock()
		return nil, fmt.Errorf("open store: %w", err)
	}
	s.unlock = unlock
	return s, nil
}

// open makes a store on a log.
func open(config Config, log Log) (*Store, error) {
	s := &Store{
		config: config, log: log,
		queue:    make(chan *request, maxQueue),
		turn:     make(chan struct{}, 1),
		state:    state{matchers: map[string]matcherOf{}},
		audit:    newAuditor(config.Audit),
		dirty:    dirtyRows{},
		history:  history{},
		flushDue: make(chan struct{}, 1),
		failed:   make(chan struct{}),
		closed:   make(chan struct{}),
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	var err error
	s.metrics, err = newMetrics(config.Registerer, s)
	return s, err
}

// Run writes observed state to disk when it is due, and keeps the audit log from growing too long. It returns nil after ctx has ended and the last of it is written, or a [*FailedError] as soon as
// the disk has failed. Nothing is written while nothing changes.
func (s *Store) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	<-timer.C
	armed, bounds := false, true
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			err := s.flush()
			if errors.Is(err, ErrReadOnly) {
				s.config.Logger.Warn("observed state was not written", "error", err)
				err = nil
			}
			return err
		case <-s.failed:
			return s.failure
		case <-s.log.Failed():
			s.turn <- struct{}{}
			if s.usable() == nil { // it has failed by itself, and nobody was told
				_ = s.append(&Batch{Meta: s.metaNow(), Head: s.auditHead()})
			}
			<-s.turn
		case <-s.closed:
			return nil
		case <-s.flushDue:
			if !armed {
				timer.Reset(s.config.FlushInterval)
				armed = true
			}
		case <-timer.C:
			armed = false
			if err := s.flush(); err != nil && !errors.Is(err, ErrReadOnly) {
				return err
			}
			bounds = bounds && s.boundAudit(ctx)
		}
	}
}

// Close writes what has not been written and closes the database. Calls that are under way end first; later ones fail with [ErrClosed].
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.turn <- struct{}{}
		flushErr := s.flushHeld()
		close(s.closed)
		<-s.turn
		s.metrics.unregister()
		s.closeErr = errors.Join(flushErr, s.log.Close())
		s.unlock()
	})
	return s.closeErr
}

// Read returns a snapshot of all rows.
func (s *Store) Read() *ReadTx { return s.newest.Load() }

// View calls fn with a snapshot of all rows, and returns its error.
func (s *Store) View(fn func(*ReadTx) error) error { return fn(s.Read()) }

// Meta returns the row about the database itself, as of the newest update. It must not be changed.
func (s *Store) Meta() *storev1.Meta { return s.meta.Load() }

// Epoch returns the first part of the hub's cursor. It does not change while the store is open.
func (s *Store) Epoch() []byte { return s.base.Epoch }

// Content returns the content of an artifact as it was put: compressed. The slice is the caller's. The error wraps [ErrNotFound] if there is none, and is a
// [*CorruptError] if it is damaged.
func (s *Store) Content(digest string) ([]byte, error) {
	select {
	case <-s.closed:
		return nil, ErrClosed
	default:
	}
	content, err := s.log.Content(digest)
	if err != nil {
		return nil, fmt.Errorf("content %s: %w", digest, err)
	}
	return content, nil
}
