// Package holdings computes the hashes by which hub and spoke compare what a cluster is to run with what its spoke holds.
// Both sides must come to the same bytes, so the one implementation stands here.
package holdings

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// AssignmentHash identifies an assignment: SHA-256 over every field that affects what the cluster holds. The cluster's name,
// the variant's, and the hash itself are left out, so that one assignment serves all clusters of a group. A field that is unset does not
// count, so a hub that knows more fields comes to the same hash as long as it does not set them.
func AssignmentHash(a *yardarmv1.AssignmentSpec) []byte {
	return MessageHash(a, "cluster", "variant", "hash")
}

// MessageHash is SHA-256 over the set fields of a message but for those with the names. Fields of messages within it all count.
func MessageHash(m protoreflect.ProtoMessage, without ...protoreflect.Name) []byte {
	return sum(appendMessage(make([]byte, 0, usualSize), m.ProtoReflect(), without))
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

const (
	// cutSize is how much of a hash tells two states apart, or names one holding of a spoke, in bytes. A mistake, once in 2^64 times,
	// is one that the next report shows: reports name assignments by their whole hashes.
	cutSize = 8
	// usualSize is room for what most messages come to, in bytes.
	usualSize = 1 << 10
	// ProofSize is how much of an assignment's hash proves that it is the one that is meant, down to its artifact's digest, in bytes.
	ProofSize = 16
)

// Cut answers as much of a hash as Same needs.
func Cut(hash []byte) []byte { return hash[:min(len(hash), cutSize)] }

// Same tells whether two hashes, either of which may be cut, are of the same. An empty one is of nothing.
func Same(a, b []byte) bool {
	n := min(len(a), len(b))
	return n >= cutSize && bytes.Equal(a[:n], b[:n])
}

// Item is one member of a set of holdings.
type Item struct {
	BundleUID string
	// Hash of the assignment.
	Hash []byte
	// Held is set while the spoke keeps it whatever the hub has assigned.
	Held bool
}

// SetHash is SHA-256 over the items in order of their bundles' uids. What is being removed is no member. It sorts items.
func SetHash(items []Item) []byte {
	slices.SortFunc(items, func(a, b Item) int {
		if c := strings.Compare(a.BundleUID, b.BundleUID); c != 0 {
			return c
		}
		return bytes.Compare(a.Hash, b.Hash)
	})
	var b []byte
	for _, it := range items {
		b = appendBytes(b, it.BundleUID)
		b = appendBytes(b, it.Hash)
		if it.Held {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return sum(b)
}

// fieldsOf are the fields of each kind of message in the order of their numbers, by its descriptor.
var fieldsOf sync.Map

func fields(d protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	if known, ok := fieldsOf.Load(d); ok {
		return known.([]protoreflect.FieldDescriptor)
	}
	all := d.Fields()
	sorted := make([]protoreflect.FieldDescriptor, all.Len())
	for i := range sorted {
		sorted[i] = all.Get(i)
	}
	slices.SortFunc(sorted, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	fieldsOf.Store(d, sorted)
	return sorted
}

// appendMessage appends the set fields in the order of their numbers. Protobuf's own deterministic encoding promises nothing
// across versions of the library; this does.
func appendMessage(b []byte, m protoreflect.Message, without []protoreflect.Name) []byte {
	var room [32]protoreflect.FieldDescriptor
	set := room[:0]
	for _, fd := range fields(m.Descriptor()) {
		if m.Has(fd) && !slices.Contains(without, fd.Name()) {
			set = append(set, fd)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(set)))
	for _, fd := range set {
		b = binary.AppendUvarint(b, uint64(fd.Number()))
		v := m.Get(fd)
		switch {
		case fd.IsList():
			list := v.List()
			b = binary.AppendUvarint(b, uint64(list.Len()))
			for i := range list.Len() {
				b = appendValue(b, fd, list.Get(i))
			}
		case fd.IsMap():
			b = appendMap(b, fd, v.Map())
		default:
			b = appendValue(b, fd, v)
		}
	}
	return b
}

func appendMap(b []byte, fd protoreflect.FieldDescriptor, m protoreflect.Map) []byte {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool { keys = append(keys, k); return true })
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = appendBytes(b, k.String())
		b = appendValue(b, fd.MapValue(), m.Get(k))
	}
	return b
}

func appendValue(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	// Strings as they are; numbers, booleans and enums by their one decimal or literal form.
	var number [20]byte
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(b, v.Message(), nil)
	case protoreflect.BytesKind:
		return appendBytes(b, v.Bytes())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return appendBytes(b, strconv.AppendInt(number[:0], v.Int(), 10))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return appendBytes(b, strconv.AppendUint(number[:0], v.Uint(), 10))
	default:
		return appendBytes(b, v.String())
	}
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
