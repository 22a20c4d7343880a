package store

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// AuditPurpose names the audit log's key among those that are derived from the hub key.
const AuditPurpose = "audit log"

const (
	// auditTable is the table of the audit log, keyed by sequence. It is on disk only.
	auditTable = "audit"
	// auditHeadKey is the key of the log's head, in the table of the meta row: outside of the log.
	auditHeadKey = "audit"
	// auditFormat is the first format with an audit log.
	auditFormat = 5
	// maxAuditChanges is how many rows an entry names, so that one that ends a bundle in 10,000 clusters is of some 10 KB.
	maxAuditChanges = 100
	// maxAuditCut is how many entries one commit drops, so that it holds up nobody's update; and how many there may be beyond Keep before it is worth one.
	maxAuditCut = 256
	// defaultAuditKeep is some 40 MB: a year of 250 changes a day.
	defaultAuditKeep = 100_000
)

// Audit says how the audit log is kept.
type Audit struct {
	// Key seals the log: whoever does not have it can make no entry, and no head, that fits.
	Key []byte
	// Keep is how many entries are kept. Default: 100,000. Those beyond are dropped by [Store.Run] and [Store.TrimAudit], and until then there are some hundred more.
	Keep uint64
}

// auditor seals entries and heads. It is immutable.
type auditor struct{ Audit }

func newAuditor(a *Audit) *auditor {
	if a == nil {
		return nil
	}
	out := &auditor{*a}
	if out.Keep == 0 {
		out.Keep = defaultAuditKeep
	}
	return out
}

// auditState is where the log ends. It is part of state, so a batch that fails takes it back.
type auditState struct {
	first, last uint64 // sequences; first is last+1 while there is no entry
	seal        []byte // of the newest entry; replaced, never written to
}

// entry returns the write of an update's entry, or none for an update that changed no desired state and tells of no denied calls.
func (a *auditor) entry(tx *Tx, author Author, now time.Time) ([]Op, error) {
	writes := tx.Writes()
	at := &tx.state.audit
	e := &storev1.AuditEntry{
		Sequence: at.last + 1, Time: timestamppb.New(now), Index: tx.index, Previous: at.seal,
		Who: author.Who, Address: author.Address, RequestId: author.RequestID, Method: author.Method, Denials: tx.denials, MoreDenied: tx.moreDenied,
	}
	for _, w := range writes {
		if w.Table == Answers {
			continue // it tells of a change, and is none
		}
		change, err := a.change(&tx.ReadTx, w)
		switch {
		case err != nil:
			return nil, fmt.Errorf("audit %s %s: %w", w.Table, w.Key, err)
		case bytes.Equal(change.Before, change.After): // written again as it was
		case len(e.Changes) == maxAuditChanges:
			e.More++
		default:
			e.Changes = append(e.Changes, change)
		}
	}
	if len(e.Changes)+len(e.Denials) == 0 {
		return nil, nil
	}
	entry, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("audit the change: %w", err)
	}
	record := &storev1.AuditRecord{Entry: entry, Seal: a.sealEntry(entry)}
	value, err := proto.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("audit the change: %w", err)
	}
	at.last, at.seal = e.Sequence, record.Seal
	return []Op{{Table: auditTable, Key: eventKey(e.Sequence), Value: value}}, nil
}

// tooMany is how many entries there are beyond those that are kept.
func (a *auditor) tooMany(at auditState) uint64 {
	if have := at.last + 1 - at.first; have > a.Keep {
		return have - a.Keep
	}
	return 0
}

// cut returns the writes that drop the entries before a sequence, and counts them out. The head, which says where the log begins, makes that no truncation.
func (a *auditor) cut(at *auditState, until uint64) (ops []Op) {
	for ; at.first < until; at.first++ {
		ops = append(ops, Op{Table: auditTable, Key: eventKey(at.first)})
	}
	return ops
}

// head returns the log's head as of an index.
func (a *auditor) head(at auditState, index uint64) *storev1.AuditHead {
	h := &storev1.AuditHead{First: at.first, Last: at.last, Seal: at.seal, Index: index}
	h.Mac = a.sealHead(h)
	return h
}

func (a *auditor) sealEntry(entry []byte) []byte { return a.mac("entry", entry) }

// sealHead covers the database's index: a head of another time does not fit the rows of this one.
func (a *auditor) sealHead(h *storev1.AuditHead) []byte {
	var b []byte
	for _, n := range []uint64{h.First, h.Last, h.Index} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return a.mac("head", append(b, h.Seal...))
}

func (a *auditor) mac(purpose string, text []byte) []byte {
	m := hmac.New(sha256.New, a.Key)
	m.Write([]byte(purpose + "\x00")) // never fails
	m.Write(text)
	return m.Sum(nil)
}

// ErrAuditSeal means that an audit log was altered, or that the key is another.
var ErrAuditSeal = errors.New("the audit log's head is not sealed with this hub's key")

var (
	errHeadMissing = errors.New("the audit log's head is missing")
	errHeadStale   = errors.New("the audit log's head is of another time than the database: one of them was replaced, or changed by something that keeps no log")
)

// checkHead tells whether a head belongs to a database. A restored one has the head of its backup until its first start, also if that was restored itself.
func (a *auditor) checkHead(h *storev1.AuditHead, m *storev1.Meta) error {
	if h == nil {
		return errHeadMissing
	}
	if !hmac.Equal(h.Mac, a.sealHead(h)) {
		return ErrAuditSeal
	}
	index := m.Index
	for i := len(m.Past) - 1; i >= 0 && index != h.Index && index == m.Past[i].Index+restoreGap; i-- {
		index = m.Past[i].Index
	}
	if index != h.Index {
		return errHeadStale
	}
	return nil
}

// change names a row, and tells its versions apart without their content.
func (a *auditor) change(tx *ReadTx, w Write) (c *storev1.AuditChange, err error) {
	c = &storev1.AuditChange{Table: w.Table.String(), Key: w.Key, Name: nameOf(tx, w)}
	if c.Before, err = a.digest(noted(w.Old)); err != nil {
		return nil, err
	}
	c.After, err = a.digest(noted(w.New))
	return c, err
}

// nameOf is what people call a row: by its own name, or those of the cluster and the bundle that it belongs to. It is empty where nobody does.
func nameOf(tx *ReadTx, w Write) string {
	row := w.New
	if row == nil {
		row = w.Old
	}
	switch row := row.(type) {
	case interface{ GetMetadata() *yardarmv1.ObjectMeta }:
		return row.GetMetadata().GetName()
	case interface{ GetName() string }:
		return row.GetName()
	case *storev1.Notification:
		return row.GetNotification().GetMetadata().GetName()
	case *storev1.SourceCredentials:
		return row.GetCredentials().GetMetadata().GetName()
	}
	var cluster, bundle string
	for uid := range strings.SplitSeq(w.Key, separator) {
		cluster = cmp.Or(cluster, tx.Cluster(uid).GetMetadata().GetName())
		bundle = cmp.Or(bundle, tx.Bundle(uid).GetMetadata().GetName())
	}
	if cluster != "" && bundle != "" {
		return cluster + "." + bundle // as assignments are called
	}
	return cluster + bundle
}

// noted is what counts of a row. That a spoke has renewed its certificate does not: those of a large fleet would crowd out all else within days.
func noted(row proto.Message) proto.Message {
	identity, ok := row.(*storev1.Identity)
	if !ok {
		return row
	}
	identity = proto.CloneOf(identity)
	identity.NotAfter = nil
	return identity
}

// digest is keyed: rows hold words that can be guessed, and an exported log is to confirm no guess.
func (a *auditor) digest(row proto.Message) ([]byte, error) {
	if row == nil {
		return nil, nil
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(row)
	if err != nil {
		return nil, err
	}
	return a.mac("row", text), nil
}
