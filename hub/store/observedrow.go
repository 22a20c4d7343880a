package store

import (
	"cmp"
	"errors"
	"hash/maphash"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// observedRow is a row of observed state in one piece of memory. There is one for each bundle of each cluster, a million in a large fleet, so what a row takes is what a hub
// takes. Its parts are of one row and go with it.
type observedRow struct {
	bundle                    storev1.ObservedBundle
	report                    yardarmv1.Report
	received, since, observed timestamppb.Timestamp
}

// observedReader reads rows of observed state as protobuf does, but has each text once where rows have the same: the uid of a cluster in all its rows, the name and the
// digest of a bundle in all its clusters, and a report's conditions in those that say the same since the same second. Rows are not changed, so they may share. It is for one
// goroutine.
type observedReader struct {
	texts      recent[string]
	hashes     recent[[]byte]
	counts     recent[*yardarmv1.ObjectCounts]
	conditions recent[[]*yardarmv1.Condition]
	// said are the conditions of the row that is being read, encoded, each after its length.
	said []byte
}

func newObservedReader() *observedReader {
	return &observedReader{conditions: recent[[]*yardarmv1.Condition]{size: recentConditions}}
}

// Field numbers of what a usual report has. A row with others is read by protobuf as far as they go.
const (
	observedClusterUID = 1
	observedReport     = 2
	observedReceived   = 3

	reportBundle         = 1
	reportBundleUID      = 2
	reportHash           = 3
	reportRevision       = 4
	reportDigest         = 5
	reportRenderedDigest = 6
	reportPhase          = 7
	reportReason         = 8
	reportMessage        = 9
	reportObjects        = 10
	reportSince          = 12
	reportObserved       = 13
	reportCondition      = 15

	conditionType    = 1
	conditionStatus  = 2
	conditionReason  = 3
	conditionMessage = 4
	conditionSince   = 5

	timeSeconds = 1
	timeNanos   = 2
)

// errOther is of a field that is for protobuf to read.
var errOther = errors.New("another field")

// read decodes a row, whose bytes it does not keep.
func (r *observedReader) read(value []byte) (*storev1.ObservedBundle, error) {
	row := &observedRow{}
	r.said = r.said[:0]
	err := fields(value, &row.bundle, func(number protowire.Number, f field) (err error) {
		switch number {
		case observedClusterUID:
			return r.text(&row.bundle.ClusterUid, f)
		case observedReport:
			if f.kind != protowire.BytesType {
				return errOther
			}
			row.bundle.Report = &row.report
			return fields(f.bytes, &row.report, func(number protowire.Number, f field) error { return r.report(row, number, f) })
		case observedReceived:
			return f.time(&row.bundle.Received, &row.received)
		}
		return errOther
	})
	if err == nil && len(r.said) > 0 {
		row.report.Conditions, err = r.conditions.of(r.said, r.sayings)
	}
	return &row.bundle, err
}

func (r *observedReader) report(row *observedRow, number protowire.Number, f field) (err error) {
	report := &row.report
	switch number {
	case reportBundle:
		return r.text(&report.Bundle, f)
	case reportBundleUID:
		return r.text(&report.BundleUid, f)
	case reportHash:
		if f.kind != protowire.BytesType {
			return errOther
		}
		report.AssignmentHash, err = r.hashes.of(f.bytes, func() ([]byte, error) { return append([]byte{}, f.bytes...), nil })
		return err
	case reportRevision:
		if f.kind != protowire.VarintType {
			return errOther
		}
		report.Revision = uint32(f.number)
		return nil
	case reportDigest:
		return r.text(&report.Digest, f)
	case reportRenderedDigest:
		return r.text(&report.RenderedDigest, f)
	case reportPhase:
		return r.text(&report.Phase, f)
	case reportReason:
		return r.text(&report.Reason, f)
	case reportMessage:
		return r.text(&report.Message, f)
	case reportObjects:
		if f.kind != protowire.BytesType {
			return errOther
		}
		if report.Objects != nil { // protobuf puts what comes twice together, and this may be others', too
			report.Objects = proto.CloneOf(report.Objects)
			return errOther
		}
		report.Objects, err = r.counts.of(f.bytes, func() (*yardarmv1.ObjectCounts, error) {
			counts := &yardarmv1.ObjectCounts{}
			return counts, proto.Unmarshal(f.bytes, counts)
		})
		return err
	case reportSince:
		return f.time(&report.Since, &row.since)
	case reportObserved:
		return f.time(&report.ObservedTime, &row.observed)
	case reportCondition:
		if f.kind != protowire.BytesType {
			return errOther
		}
		r.said = protowire.AppendBytes(r.said, f.bytes)
		return nil
	}
	return errOther
}

// conditionRow is a condition in one piece of memory.
type conditionRow struct {
	condition yardarmv1.Condition
	since     timestamppb.Timestamp
}

// sayings decodes what said has.
func (r *observedReader) sayings() ([]*yardarmv1.Condition, error) {
	var all [][]byte
	for rest := r.said; len(rest) > 0; {
		value, n := protowire.ConsumeBytes(rest)
		all, rest = append(all, value), rest[n:]
	}
	rows, out := make([]conditionRow, len(all)), make([]*yardarmv1.Condition, len(all))
	for i, value := range all {
		out[i] = &rows[i].condition
		if err := r.condition(value, &rows[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *observedReader) condition(value []byte, row *conditionRow) error {
	c := &row.condition
	return fields(value, c, func(number protowire.Number, f field) error {
		switch number {
		case conditionType:
			return r.text(&c.Type, f)
		case conditionStatus:
			return r.text(&c.Status, f)
		case conditionReason:
			return r.text(&c.Reason, f)
		case conditionMessage:
			return r.text(&c.Message, f)
		case conditionSince:
			return f.time(&c.LastTransitionTime, &row.since)
		}
		return errOther
	})
}

// errText is as protobuf refuses a text.
var errText = errors.New("a text is not UTF-8")

func (r *observedReader) text(into *string, f field) (err error) {
	if f.kind != protowire.BytesType {
		return errOther
	}
	*into, err = r.texts.of(f.bytes, func() (string, error) {
		if !utf8.Valid(f.bytes) {
			return "", errText
		}
		return string(f.bytes), nil
	})
	return err
}

// field is what one has: its number or its bytes, by its kind.
type field struct {
	kind   protowire.Type
	number uint64
	bytes  []byte
}

// time reads a timestamp into the memory that there is for it.
func (f field) time(into **timestamppb.Timestamp, room *timestamppb.Timestamp) error {
	if f.kind != protowire.BytesType {
		return errOther
	}
	*into = room
	return fields(f.bytes, room, func(number protowire.Number, f field) error {
		switch {
		case number == timeSeconds && f.kind == protowire.VarintType:
			room.Seconds = int64(f.number)
		case number == timeNanos && f.kind == protowire.VarintType:
			room.Nanos = int32(f.number)
		default:
			return errOther
		}
		return nil
	})
}

// fields calls each with every field of an encoded message, in order; those that it says are others, protobuf puts into m.
func fields(b []byte, m proto.Message, each func(protowire.Number, field) error) error {
	var others []byte
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		f, length := field{kind: kind}, 0
		switch kind {
		case protowire.VarintType:
			f.number, length = protowire.ConsumeVarint(b[n:])
		case protowire.BytesType:
			f.bytes, length = protowire.ConsumeBytes(b[n:])
		default:
			length = protowire.ConsumeFieldValue(number, kind, b[n:])
		}
		if length < 0 {
			return protowire.ParseError(length)
		}
		switch err := each(number, f); err {
		case nil:
		case errOther:
			others = append(others, b[:n+length]...)
		default:
			return err
		}
		b = b[n+length:]
	}
	if others == nil {
		return nil
	}
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(others, m)
}

// How many pairs of values are remembered. A bundle has some ten texts, so those of hundreds of bundles in some 100 KB; and where its revisions reach a fleet within a minute,
// two hundred conditions, so those of a hundred bundles in 3 MB.
const (
	recentSets       = 1 << 11
	recentConditions = 1 << 14
)

// recent remembers what was made of which bytes lately, so that it is made once. It forgets rather than grows.
type recent[V any] struct {
	seed maphash.Seed
	// size is how many pairs there are; 0 is recentSets.
	size uint64
	// sets have two of those whose hash is the same, the newer one first.
	sets [][2]made[V]
}

type made[V any] struct {
	from string
	v    V
}

func (c *recent[V]) of(b []byte, of func() (V, error)) (V, error) {
	if c.sets == nil {
		c.seed, c.sets = maphash.MakeSeed(), make([][2]made[V], cmp.Or(c.size, recentSets))
	}
	set := &c.sets[maphash.Bytes(c.seed, b)%uint64(len(c.sets))]
	for i := range set {
		if len(b) > 0 && set[i].from == string(b) {
			return set[i].v, nil
		}
	}
	v, err := of()
	if err == nil {
		set[0], set[1] = made[V]{string(b), v}, set[0]
	}
	return v, err
}
