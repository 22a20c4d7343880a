package rollout

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Effective is the strategy that a rollout begins by, of what its bundle says: the named one, one of its own, or the default. It is not the caller's to
// change.
func Effective(said *yardarmv1.RolloutStrategy, named func(name string) *yardarmv1.Strategy) (*yardarmv1.RolloutStrategy, error) {
	if name := said.GetStrategy(); name != "" {
		s := named(name)
		if s == nil {
			return nil, fmt.Errorf("there is no strategy %q", name)
		}
		said = &yardarmv1.RolloutStrategy{}
		proto.Merge(said, s.GetSpec())
		said.Strategy = name
	}
	if len(said.GetStages()) > 0 {
		return said, nil
	}
	out := Default()
	out.OnFailure, out.Strategy = said.GetOnFailure(), said.GetStrategy()
	return out, nil
}
