package store

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// AuditSummary is what a log that is whole consists of.
type AuditSummary struct {
	// First and Last are the sequences of the oldest and the newest entry; First is Last+1 if there is none.
	First, Last uint64
	// Since is when the oldest one was made; zero if there is none.
	Since time.Time
	// Index is that of the database when the head was written.
	Index uint64
}

// AuditError says where an audit log is not what the hub wrote.
type AuditError struct {
	File string
	// Sequence is that of the first entry that does not fit; 0 where it is the head.
	Sequence uint64
	Detail   string
}

func (e *AuditError) Error() string {
	if e.Sequence == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Detail)
	}
	return fmt.Sprintf("%s: the audit log breaks at entry %d: %s", e.File, e.Sequence, e.Detail)
}

// VerifyAudit reads the audit log in the data directory of a hub that is not running, and calls each, which may be nil, with every entry, the oldest first. The
// errors are [*AuditError], [*InUseError], [*CorruptError], and that of each.
func VerifyAudit(dir string, key []byte, each func(*storev1.AuditEntry) error) (*AuditSummary, error) {
	exists, err := Exists(dir)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("%s holds no database of a hub", dir)
	}
	unlock, err := lock(dir, time.Now())
	if err != nil {
		return nil, err
	}
	defer unlock()
	config := Config{Dir: dir}
	config.setDefaults()
	log, err := openLog(config) // what a hub that was killed has left in its write-ahead log belongs to it
	if err != nil {
		return nil, err
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	return VerifyAuditFile(filepath.Join(dir, databaseName), key, each)
}

// VerifyAuditFile does what [VerifyAudit] does with a backup.
func VerifyAuditFile(path string, key []byte, each func(*storev1.AuditEntry) error) (*AuditSummary, error) {
	verified, err := verify(path, false)
	if err != nil {
		return nil, err
	}
	if verified.meta.Format < auditFormat {
		return nil, &AuditError{File: path, Detail: fmt.Sprintf("a database of format %d has no audit log yet", verified.meta.Format)}
	}
	p, err := openPages(path)
	if err != nil {
		return nil, err
	}
	v := &auditVerifier{path: path, auditor: &auditor{Audit{Key: key}}, each: each}
	return &v.AuditSummary, joinClose(guard(path, func() error { return v.check(p, verified.meta) }), p)
}

// auditVerifier follows the chain from one entry to the next.
type auditVerifier struct {
	AuditSummary
	auditor *auditor
	path    string
	each    func(*storev1.AuditEntry) error
	next    uint64
	seal    []byte // of the entry before
}

func (v *auditVerifier) check(p *pageFile, m *storev1.Meta) error {
	_, roots, err := p.buckets()
	if err != nil {
		return asCorrupt(v.path, err)
	}
	var sealed []byte
	err = p.bucket(roots[meta.String()], func(key, value []byte) error {
		if string(key) == auditHeadKey {
			sealed = bytes.Clone(value)
		}
		return nil
	})
	if err != nil {
		return asCorrupt(v.path, err)
	}
	head, err := decodeAuditHead(v.path, sealed)
	if err != nil {
		return err
	}
	if err := v.auditor.checkHead(head, m); err != nil {
		return &AuditError{File: v.path, Detail: err.Error()}
	}
	v.AuditSummary = AuditSummary{First: head.First, Last: head.Last, Index: head.Index}
	v.next = head.First
	if err := p.bucket(roots[auditTable], v.entry); err != nil {
		return asAudit(err)
	}
	switch {
	case v.next != head.Last+1:
		return v.broken("it and what follows are missing: the log ends before its head, entry %d", head.Last)
	case v.next > head.First && !bytes.Equal(v.seal, head.Seal):
		v.next--
		return v.broken("it is another than the one that the head names")
	}
	return nil
}

// entry checks one row against the one before.
func (v *auditVerifier) entry(key, value []byte) error {
	row, err := unseal(auditTable, key, value)
	if err != nil {
		return corruptRow(v.path, auditTable, key, err)
	}
	record, e := &storev1.AuditRecord{}, &storev1.AuditEntry{}
	if err := errors.Join(proto.Unmarshal(row, record), proto.Unmarshal(record.GetEntry(), e)); err != nil {
		return v.broken("it cannot be read")
	}
	switch {
	case string(key) > eventKey(v.Last):
		return v.broken("there is an entry %s beyond the head, entry %d", key, v.Last)
	case string(key) != eventKey(v.next):
		return v.broken("entry %s is in its place: entries were removed or added", key)
	case !hmac.Equal(record.Seal, v.auditor.sealEntry(record.Entry)):
		return v.broken("it was altered")
	case e.Sequence != v.next:
		return v.broken("entry %d was put in its place", e.Sequence)
	case v.seal != nil && !bytes.Equal(e.Previous, v.seal):
		return v.broken("it does not follow the entry before it: one of them is of another log")
	}
	if v.next == v.First {
		v.Since = e.Time.AsTime()
	}
	v.next, v.seal = v.next+1, record.Seal
	if v.each == nil {
		return nil
	}
	return v.each(e)
}

func (v *auditVerifier) broken(format string, args ...any) error {
	return &AuditError{File: v.path, Sequence: v.next, Detail: fmt.Sprintf(format, args...)}
}

// asAudit finds the error of an entry in that of walking through the pages.
func asAudit(err error) error {
	var broken *AuditError
	if errors.As(err, &broken) {
		return broken
	}
	return err
}
