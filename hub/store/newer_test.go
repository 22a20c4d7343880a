package store

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// newerField is one that no message of this hub has.
var newerField = protowire.AppendString(protowire.AppendTag(nil, 10_000, protowire.BytesType), "of a newer hub")

// TestNewerFieldsStay: what a newer hub has written into rows that this one knows is still there after this one has read, changed and
// written them, on disk and in a backup.
func TestNewerFieldsStay(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	observe(t, s, func(tx *Tx) error { return tx.PutObserved(&storev1.Observed{ClusterUid: "c1"}) })
	s = reopened(t, s)
	batch := &Batch{Meta: proto.CloneOf(s.Meta())}
	batch.Meta.ProtoReflect().SetUnknown(newerField)
	if err := s.log.Load(func(table, key string, value []byte) error {
		batch.Ops = append(batch.Ops, Op{table, key, append(bytes.Clone(value), newerField...)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Append(batch); err != nil {
		t.Fatal(err)
	}
	crash(t, s)

	s = opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error {
		c, b := proto.CloneOf(tx.Cluster("c1")), proto.CloneOf(tx.Bundle("b1"))
		c.Metadata.Labels, b.Metadata.Labels = map[string]string{"a": "b"}, map[string]string{"a": "b"}
		if err := tx.PutCluster(c); err != nil {
			return err
		}
		return tx.PutBundle(b)
	})
	observe(t, s, func(tx *Tx) error {
		o := proto.CloneOf(tx.Observed("c1"))
		o.SpokeVersion = "2"
		return tx.PutObserved(o)
	})
	s = reopened(t, s)
	rows := 0
	if err := s.log.Load(func(table, key string, value []byte) error {
		if rows++; bytes.Count(value, newerField) != 1 {
			t.Errorf("%s %s has lost it", table, key)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows != len(batch.Ops) || !bytes.Equal(s.Meta().ProtoReflect().GetUnknown(), newerField) {
		t.Errorf("%d rows of %d are there; the row about the database is %v", rows, len(batch.Ops), s.Meta())
	}
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	// All but the token.
	if n := bytes.Count(backup.Bytes(), newerField); n < rows {
		t.Errorf("a backup has it in %d of %d rows", n, rows)
	}
}
