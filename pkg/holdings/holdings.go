// Package holdings computes the hashes by which hub and spoke compare what a cluster is to run with what its spoke holds.
// Both sides must come to the same bytes, so the one implementation stands here.
package holdings

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// AssignmentHash identifies an assignment: SHA-256 over every field that affects what the cluster holds. The cluster's name,
// the variant's, and the hash itself are left out, so that one assignment serves all clusters of a group. A field that is unset does not
// count, so a hub that knows more fields comes to the same hash as long as it does not set them.
func AssignmentHash(a *yardarmv1.AssignmentSpec) []byte {
	return sum(appendMessage(nil, a.ProtoReflect(), func(name protoreflect.Name) bool { return name == "cluster" || name == "variant" || name == "hash" }))
}

// MessageHash is SHA-256 over the set fields of a message.
func MessageHash(m protoreflect.ProtoMessage) []byte {
	return sum(appendMessage(nil, m.ProtoReflect(), func(protoreflect.Name) bool { return false }))
}

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

const (
	// cutSize is how much of a hash tells two states apart, or names one holding of a spoke, in bytes. A mistake, once in 2^64 times,
	// is one that the next report shows: reports name assignments by their whole hashes.
	cutSize = 8
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

// appendMessage appends the set fields in the order of their numbers. Protobuf's own deterministic encoding promises nothing
// across versions of the library; this does.
func appendMessage(b []byte, m protoreflect.Message, skip func(protoreflect.Name) bool) []byte {
	var fields []protoreflect.FieldDescriptor
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !skip(fd.Name()) {
			fields = append(fields, fd)
		}
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	b = binary.AppendUvarint(b, uint64(len(fields)))
	for _, fd := range fields {
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
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(b, v.Message(), func(protoreflect.Name) bool { return false })
	case protoreflect.BytesKind:
		return appendBytes(b, v.Bytes())
	default:
		// Strings as they are; numbers, booleans and enums by their one decimal or literal form.
		return appendBytes(b, v.String())
	}
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
