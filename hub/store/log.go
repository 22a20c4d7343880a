package store

import (
	"context"
	"io"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Log is what keeps rows durable. The store calls Append and Close from one goroutine at a time, Content and Backup from any.
//
// Its errors are [*CorruptError], [*DiskFullError] and, from Content, [ErrNotFound]; any other error of Append is final, since nobody knows what is on the disk
// after it.
type Log interface {
	// Meta returns the row about the database itself; it is the caller's.
	Meta() (*storev1.Meta, error)
	// AuditHead returns the head of the audit log, or nil if there is none.
	AuditHead() (*storev1.AuditHead, error)
	// AuditBack returns the head of the audit log, and up to n of its rows before a sequence, the newest first; 0 means from the end.
	AuditBack(before uint64, n int) (*storev1.AuditHead, []AuditRow, error)
	// Load calls row for every other row, table by table, contents, audit log and history left out. The value may not be kept. An error of row means that the row is damaged.
	Load(row func(table, key string, value []byte) error) error
	// HistoryOf returns the chunks of a subject's history and their keys, the oldest first; HistoryKeys the next n keys of the history after one, and HistoryRows
	// how many there are.
	HistoryOf(subject string) (keys []string, chunks []*storev1.HistoryChunk, err error)
	HistoryKeys(after string, n int) ([]string, error)
	HistoryRows() uint64
	// Append makes a batch durable, all of it or nothing, before it returns.
	Append(*Batch) error
	// Failed is closed once every further Append fails for good.
	Failed() <-chan struct{}
	// Content returns a copy of an artifact's bytes.
	Content(digest string) ([]byte, error)
	// Backup writes a consistent copy of what is durable, in the form that [Restore] reads: with what meta makes of the row about the database itself,
	// and without the rows that keep refuses.
	Backup(ctx context.Context, w io.Writer, meta func(*storev1.Meta), keep func(table, key string) bool) error
	// Compact gives back what the log takes beyond its rows, if it is worth it, and returns how many bytes that was. It is called like Append, and nothing has
	// changed after an error, but for one that wraps errUnsure.
	Compact(ctx context.Context) (freed int64, err error)
	// Release gives back memory that holds nothing but what is on disk as well. It is called like Append.
	Release()
	// Size returns what the log takes on disk, in bytes.
	Size() int64
	Close() error
}

// Batch is what one commit writes.
type Batch struct {
	Meta *storev1.Meta
	// Head replaces that of the audit log, unless it is nil.
	Head *storev1.AuditHead
	// Ops are in order: of two that concern one row, the later counts.
	Ops []Op
}

// Op writes one row.
type Op struct {
	Table string
	Key   string
	// Value is nil where the row is deleted.
	Value []byte
}

// contentsTable is the table of the artifacts' bytes, keyed by digest. Load leaves it out.
const contentsTable = "contents"
