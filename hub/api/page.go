package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"
)

const (
	// defaultPage is how many items a page has when the caller does not say: a few screens.
	defaultPage = 100
	// maxPage is the most that a caller may ask for, as the proto says.
	maxPage = 1000
	// maxPageBytes ends a page early: a gRPC client takes 4 MiB unless it says otherwise.
	maxPageBytes = 2 << 20
	// maxToken is longer than any token that was given out, in bytes.
	maxToken = 1 << 10
)

// pageRequest is the part that all list requests share.
type pageRequest struct {
	size uint32
	// token is what the caller sent.
	token string
	// what is listed, and by which filters: a token counts for its own list only.
	list string
}

// pageToken is where a list goes on. It is opaque to callers.
type pageToken struct {
	// List is the beginning of a hash over what was listed.
	List []byte `json:"l"`
	// After is the position of the last item given out.
	After string `json:"a"`
}

// page is a part of a list. The items come in the order of their positions, which are strings that compare as the items are to
// be ordered; an item that comes or goes between two pages shifts none of the others.
type page[T proto.Message] struct {
	items []T
	next  string
	total uint32
}

// paginate takes the page that r asks for from all items that match. make is called for those on the page only, and may answer
// nil for an item that is not to be shown after all.
func paginate[K any, T proto.Message](r pageRequest, all iter.Seq2[string, K], build func(K) T) (page[T], error) {
	var out page[T]
	size, after, err := r.parse()
	if err != nil {
		return out, err
	}
	var last string
	bytes, more := 0, false
	for position, key := range all {
		out.total++
		switch {
		case after != nil && position <= *after:
		case more:
		case len(out.items) >= size || bytes >= maxPageBytes:
			more = true
		default:
			item := build(key)
			bytes += proto.Size(item)
			out.items = append(out.items, item)
			last = position
		}
	}
	if more {
		out.next = r.tokenAfter(last)
	}
	return out, nil
}

func (r pageRequest) parse() (size int, after *string, err error) {
	size = int(r.size)
	if size == 0 {
		size = defaultPage
	}
	if r.size > maxPage {
		return 0, nil, invalid("page_size", fmt.Sprintf("is %d; at most %d are answered at once", r.size, maxPage))
	}
	if r.token == "" {
		return size, nil, nil
	}
	var token pageToken
	raw, err := base64.RawURLEncoding.DecodeString(r.token)
	if len(r.token) > maxToken || err != nil || json.Unmarshal(raw, &token) != nil {
		return 0, nil, invalid("page_token", "is none that this hub gave out; start again without one")
	}
	if string(token.List) != string(r.hash()) {
		return 0, nil, invalid("page_token", "belongs to a list of something else; start again without one, or ask with the same filters")
	}
	return size, &token.After, nil
}

func (r pageRequest) tokenAfter(position string) string {
	raw, err := json.Marshal(pageToken{List: r.hash(), After: position})
	if err != nil {
		panic("api: a page token cannot be encoded: " + err.Error()) // two fields that always can
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (r pageRequest) hash() []byte {
	sum := sha256.Sum256([]byte(r.list))
	return sum[:8]
}
