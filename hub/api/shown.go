package api

import (
	"sync"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// shownFor is how long a resource is told of as it was shown first: all watches that a change concerns have their round within some half a second. When a
	// connected cluster was last seen is told as of then.
	shownFor = time.Second
	// maxShown is how many are kept at most, of some 500 bytes mostly: those of a second in which a thousand clusters change.
	maxShown = 1024
)

// shown keeps for a moment what resources look like to those who see everything, encoded: a change that many watches are about is encoded once. Safe for
// concurrent use.
type shown struct {
	mu     sync.Mutex // guards all
	latest map[any]look
	// order is what latest has, the oldest first.
	order []any
}

type look struct {
	resource []byte
	at       time.Time
}

// of is a resource in a message, without anything else, as make shows it. content is the entry of the index that it is made of, which never changes.
func (s *shown) of(content any, now time.Time, make func() *hubv1.WatchResponse) ([]byte, error) {
	s.mu.Lock()
	known, ok := s.latest[content]
	s.mu.Unlock()
	if ok && known.fresh(now) {
		return known.resource, nil
	}
	resource, err := proto.Marshal(make())
	if err == nil {
		s.keep(content, look{resource, now})
	}
	return resource, err
}

func (l look) fresh(now time.Time) bool { return now.Sub(l.at) < shownFor }

func (s *shown) keep(content any, l look) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		s.latest = make(map[any]look)
	}
	old := 0
	for old < len(s.order) && (len(s.order)-old >= maxShown || !s.latest[s.order[old]].fresh(l.at)) {
		delete(s.latest, s.order[old])
		old++
	}
	s.order = s.order[old:]
	if _, again := s.latest[content]; !again {
		s.order = append(s.order, content)
	}
	s.latest[content] = l
}

// encoded is a message of a watch in parts that are encoded already: some of its fields, shared with others who are sent the same, and the rest. Parts of a
// message, one after the other, are the message.
type encoded struct{ shared, own []byte }

// codec is that of gRPC, and takes what is encoded already.
type codec struct{ encoding.CodecV2 }

func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	if m, ok := message.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(m.shared), mem.SliceBuffer(m.own)}, nil
	}
	return c.CodecV2.Marshal(message)
}
