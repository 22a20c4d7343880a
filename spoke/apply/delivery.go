package apply

import (
	"fmt"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Delivery is how one object is delivered: as its bundle says, unless its own annotations say otherwise.
type Delivery struct {
	// Takeover, Conflict and Drift hold one of the words that the delivery policy knows; never empty.
	Takeover, Conflict, Drift string
	// Recreate deletes and makes anew what cannot be changed otherwise.
	Recreate bool
	// IfNotPresent creates the object where it is not there, and then never touches it.
	IfNotPresent bool
}

var (
	takeovers = []string{yardarmv1.TakeoverAlways, yardarmv1.TakeoverIfNoDiff, yardarmv1.TakeoverNever}
	conflicts = []string{yardarmv1.ConflictForce, yardarmv1.ConflictFail}
	drifts    = []string{yardarmv1.DriftCorrect, yardarmv1.DriftReport, yardarmv1.DriftIgnore}
	booleans  = []string{"false", "true"}
)

// deliveryOf reads an object's annotations. The error names the annotation, and the values that it may have.
func deliveryOf(policy *yardarmv1.DeliveryPolicy, object manifest.Object) (Delivery, error) {
	var err error
	// word answers the annotation's value, or otherwise; the first of known if both say nothing.
	word := func(annotation string, known []string, otherwise string) string {
		value, ok := object.Annotation(annotation)
		if !ok {
			value = otherwise
		}
		if value == "" {
			return known[0]
		}
		if !slices.Contains(known, value) && err == nil {
			err = fmt.Errorf("%s is %q; it may be %s", annotation, clip(value), strings.Join(known, ", "))
		}
		return value
	}
	yes := func(annotation string, otherwise bool) bool {
		return word(annotation, booleans, fmt.Sprint(otherwise)) == "true"
	}
	d := Delivery{
		Takeover:     word(yardarmv1.AnnotationTakeover, takeovers, policy.GetTakeover()),
		Conflict:     word(yardarmv1.AnnotationConflict, conflicts, policy.GetConflict()),
		Drift:        word(yardarmv1.AnnotationDrift, drifts, policy.GetDrift()),
		Recreate:     yes(yardarmv1.AnnotationRecreate, policy.GetRecreate()),
		IfNotPresent: yes(yardarmv1.AnnotationIfNotPresent, false),
	}
	// What is kept is decided when the object leaves the bundle, by what the live one says then.
	yes(yardarmv1.AnnotationKeep, false)
	return d, err
}

// clip bounds a value that is quoted in a message.
func clip(s string) string {
	const limit = 128
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
