package store

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"iter"
	"math"
	"sort"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// auditChunk is how many entries are read at once, in a transaction of the log's own: some 100 KB, and at most 3 MB. While one is open, the file cannot use
	// pages again that commits have set free, so whoever reads a long log must not hold one.
	auditChunk = 256
	// clockSlack is how far the hub's clock may have been set back between two entries for a search by time to find both.
	clockSlack = time.Hour
)

// AuditRow is a row of the audit log.
type AuditRow struct {
	Sequence uint64
	Record   *storev1.AuditRecord
}

// AuditRange returns the sequences of the oldest entry of the audit log that is kept, and of the newest one; the first is one more than the last if there is none.
func (s *Store) AuditRange() (first, last uint64, err error) {
	head, _, err := s.log.AuditBack(0, 0)
	return head.GetFirst(), head.GetLast(), err
}

// AuditEntries yields the entries of the audit log before a sequence, the newest first; 0 means from the end. It reads as much as is asked for, some hundred
// entries at a time, and holds nothing in between. Each entry's seal is checked, and that it is followed by the one that was yielded before it: the error is
// an [*AuditError] if not. Entries that are dropped meanwhile are not yielded.
func (s *Store) AuditEntries(before uint64) iter.Seq2[*storev1.AuditEntry, error] {
	return func(yield func(*storev1.AuditEntry, error) bool) {
		if s.audit == nil {
			return
		}
		r := &auditReader{auditor: s.audit, file: s.config.Dir}
		for {
			head, rows, err := s.log.AuditBack(before, auditChunk)
			if err != nil {
				yield(nil, err)
				return
			}
			r.begin(before, head)
			for _, row := range rows {
				e, err := r.entry(row)
				if !yield(e, err) || err != nil {
					return
				}
			}
			switch {
			case len(rows) == auditChunk:
				before = r.next + 1
			case r.next >= head.GetFirst() && r.next > 0:
				yield(nil, r.broken(r.next, "it is missing"))
				return
			default:
				return
			}
		}
	}
}

// AuditBefore returns a sequence before which all entries are that were made before a time, and few others. Clocks are set back now and then: by up to an hour, nothing
// is overlooked.
func (s *Store) AuditBefore(t time.Time) (uint64, error) {
	head, _, err := s.log.AuditBack(0, 0)
	if err != nil || head == nil {
		return 0, err
	}
	r := &auditReader{auditor: s.audit, file: s.config.Dir}
	limit := t.Add(clockSlack)
	n := sort.Search(int(head.Last+1-head.First), func(i int) bool {
		sequence := head.First + uint64(i)
		_, rows, readErr := s.log.AuditBack(sequence+1, 1)
		if readErr != nil {
			err = readErr
			return true
		}
		if len(rows) == 0 || rows[0].Sequence != sequence {
			return false // it was dropped meanwhile, so it is of the oldest
		}
		r.next, r.follower = sequence, nil
		e, entryErr := r.entry(rows[0])
		if entryErr != nil {
			err = entryErr
			return true
		}
		return e.Time.AsTime().After(limit)
	})
	return head.First + uint64(n), err
}

// AuditOlder tells whether an entry is so old that all before it were made before a time, too, as [Store.AuditBefore] has it.
func AuditOlder(e *storev1.AuditEntry, t time.Time) bool {
	return e.Time.AsTime().Before(t.Add(-clockSlack))
}

// auditReader follows the chain from one entry to the one before.
type auditReader struct {
	auditor *auditor
	file    string
	next    uint64
	// follower is what the entry that comes after next says of its seal; nil where that was not read.
	follower []byte
	begun    bool
}

// begin finds where the newest entry is, of a chain whose end is in the head.
func (r *auditReader) begin(before uint64, head *storev1.AuditHead) {
	if r.begun {
		return
	}
	r.begun = true
	if before == 0 || before > head.GetLast() {
		r.next, r.follower = head.GetLast(), head.GetSeal()
	} else {
		r.next = before - 1
	}
}

// entry checks a row, which is to be the next one.
func (r *auditReader) entry(row AuditRow) (*storev1.AuditEntry, error) {
	e := &storev1.AuditEntry{}
	switch err := proto.Unmarshal(row.Record.GetEntry(), e); {
	case row.Sequence != r.next:
		return nil, r.broken(r.next, "it is missing")
	case err != nil:
		return nil, r.broken(r.next, "it cannot be read")
	case !hmac.Equal(row.Record.Seal, r.auditor.sealEntry(row.Record.Entry)):
		return nil, r.broken(r.next, "it was altered")
	case e.Sequence != r.next:
		return nil, r.broken(r.next, fmt.Sprintf("entry %d was put in its place", e.Sequence))
	case len(r.follower) > 0 && !bytes.Equal(r.follower, row.Record.Seal):
		return nil, r.broken(r.next, "it is another than the one that is followed")
	}
	r.next, r.follower = r.next-1, e.Previous
	return e, nil
}

func (r *auditReader) broken(sequence uint64, detail string) error {
	return &AuditError{File: r.file, Sequence: sequence, Detail: detail}
}

// AuditBack implements Log.
func (l *boltLog) AuditBack(before uint64, n int) (head *storev1.AuditHead, rows []AuditRow, err error) {
	err = l.view(func(tx *bbolt.Tx) (err error) {
		head, err = decodeAuditHead(l.path, tx.Bucket([]byte(meta.String())).Get([]byte(auditHeadKey)))
		if err != nil || n == 0 {
			return err
		}
		if before == 0 {
			before = math.MaxUint64
		}
		c := tx.Bucket([]byte(auditTable)).Cursor()
		older := c.Prev
		if key, _ := c.Seek([]byte(eventKey(before))); key == nil {
			older = c.Last
		}
		for key, value := older(); key != nil && len(rows) < n; key, value = c.Prev() {
			row, err := decodeAuditRow(key, value)
			if err != nil {
				return corruptRow(l.path, auditTable, key, err)
			}
			rows = append(rows, row)
		}
		return nil
	})
	return head, rows, err
}

func decodeAuditRow(key, sealed []byte) (row AuditRow, err error) {
	value, err := unseal(auditTable, key, sealed)
	if err != nil {
		return row, err
	}
	if row.Sequence, err = strconv.ParseUint(string(key), 10, 64); err != nil {
		return row, err
	}
	row.Record = &storev1.AuditRecord{}
	return row, proto.Unmarshal(value, row.Record)
}
