// Package ignore compiles the rules of a delivery policy that name fields to be left as they are found. The hub checks by it
// what people write; the spoke asks which fields of an object are meant, and does the leaving (spoke/drift).
package ignore

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/match"
)

// MaxPaths is how many pointers one rule may have.
const MaxPaths = 64

// Rules are a policy's, compiled. The nil Rules have none.
type Rules []rule

type rule struct {
	selector match.Selector
	pointers []Pointer
}

// Compile checks and compiles rules. The error names the first field that is wrong, as in "ignore[0].paths[1]: …".
func Compile(rules []*yardarmv1.IgnoreRule) (Rules, error) {
	var out Rules
	for i, r := range rules {
		s, err := match.Compile(r.GetTarget())
		if err != nil {
			return nil, fmt.Errorf("ignore[%d].target.%w", i, err)
		}
		if n := len(r.GetPaths()); n > MaxPaths || n == 0 {
			return nil, fmt.Errorf("ignore[%d].paths: there are %d; a rule has 1 to %d", i, n, MaxPaths)
		}
		compiled := rule{selector: s}
		for j, text := range r.GetPaths() {
			p, err := Parse(text)
			if err != nil {
				return nil, fmt.Errorf("ignore[%d].paths[%d]: %w", i, j, err)
			}
			compiled.pointers = append(compiled.pointers, p)
		}
		out = append(out, compiled)
	}
	return out, nil
}

// Of answers which fields of an object are to be left alone. Its namespace is the one that it goes to.
func (r Rules) Of(object manifest.Object, namespace string) []Pointer {
	var all []Pointer
	for i := range r {
		if r[i].selector.Matches(object, namespace) {
			all = append(all, r[i].pointers...)
		}
	}
	return all
}

// Hash identifies pointers: what is applied with some differs from what is applied with others. It is 0 for none.
func Hash(pointers []Pointer) uint64 {
	if len(pointers) == 0 {
		return 0
	}
	h := sha256.New()
	for _, p := range pointers {
		h.Write([]byte(p.String()))
		h.Write([]byte{0})
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
