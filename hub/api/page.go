package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/query"
)

const (
	// defaultPage is how many items a page has when the caller does not say: a few screens.
	defaultPage = 100
	// maxPage is the most that a caller may ask for, as the proto says.
	maxPage = 1000
	// maxPageBytes ends a page early: a gRPC client takes 4 MiB unless it says otherwise.
	maxPageBytes = 2 << 20
	// maxToken is longer than any token that was given out, in bytes: eight values of at most 1 KiB, escaped, in base64.
	maxToken = 64 << 10
)

// listRequest is the part that all list requests share.
type listRequest struct {
	size uint32
	// token is what the caller sent.
	token           string
	filter, orderBy string
	// what is listed, and by which other filters: a token counts for its own list only.
	list string
}

// pageToken is where a list goes on. It is opaque to callers.
type pageToken struct {
	// List is the beginning of a hash over what was listed.
	List []byte `json:"l"`
	// After is where the last item given out stands.
	After query.Position `json:"a"`
}

// page is a part of a list. An item that comes or goes between two pages shifts none of the others.
type page[T proto.Message] struct {
	items []T
	next  string
	total uint32
}

// paginate takes the page that r asks for. all adds every resource that there may be, of one snapshot; build makes what callers see of those on the page.
func paginate[R any, T proto.Message](r listRequest, schema *query.Schema[R], all func(add func(R)), build func(R) T) (page[T], error) {
	var out page[T]
	order, err := schema.Order(r.orderBy)
	if err != nil {
		return out, invalid("order_by", err.Error())
	}
	filter, err := schema.Filter(r.filter)
	if err != nil {
		return out, invalid("filter", err.Error())
	}
	size, after, err := r.parse()
	if err != nil {
		return out, err
	}
	if after != nil && !order.Valid(after) {
		return out, errPageToken()
	}
	top := query.NewTop(order, after, size)
	all(func(resource R) {
		if filter.Matches(resource) {
			top.Add(resource)
		}
	})
	first, total, more := top.Result()
	out.total = uint32(total)
	bytes := 0
	for i, resource := range first {
		item := build(resource)
		out.items = append(out.items, item)
		bytes += proto.Size(item)
		if last := i == len(first)-1; more && last || !last && bytes >= maxPageBytes {
			out.next = r.tokenAfter(order.Position(resource))
			break
		}
	}
	return out, nil
}

func errPageToken() error {
	return invalid("page_token", "is none that this hub gave out; start again without one")
}

func (r listRequest) parse() (size int, after query.Position, err error) {
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
	if len(r.token) > maxToken {
		return 0, nil, errPageToken()
	}
	raw, err := base64.RawURLEncoding.DecodeString(r.token)
	if err != nil || json.Unmarshal(raw, &token) != nil || len(token.After) == 0 {
		return 0, nil, errPageToken()
	}
	if string(token.List) != string(r.hash()) {
		return 0, nil, invalid("page_token", "belongs to a list of something else; start again without one, or ask with the same filters and order")
	}
	return size, token.After, nil
}

func (r listRequest) tokenAfter(position query.Position) string {
	raw, err := json.Marshal(pageToken{List: r.hash(), After: position})
	if err != nil {
		panic("api: a page token cannot be encoded: " + err.Error()) // fields that always can
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (r listRequest) hash() []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", r.list, r.filter, r.orderBy))
	return sum[:8]
}
