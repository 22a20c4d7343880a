package selector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Operator relates a label to values. The names are those of matchExpressions in Kubernetes.
type Operator string

// The operators. Greater-than and less-than, which Kubernetes' text grammar knows but its structured form does not, are left to
// expressions.
const (
	In           Operator = "In"           // the label is there and has one of the values; with one value, written key=value
	NotIn        Operator = "NotIn"        // the label is not there, or has none of the values; with one value, written key!=value
	Exists       Operator = "Exists"       // the label is there; written key
	DoesNotExist Operator = "DoesNotExist" // the label is not there; written !key
)

// Requirement is a condition on one label.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string // at least one for In and NotIn, none for the others
}

// Selector is a conjunction of requirements. The zero Selector has none and matches everything. It is immutable.
type Selector struct {
	requirements []Requirement // in canonical order, without duplicates, values sorted and without duplicates
}

// MaxText is how long a selector or an expression may be, in bytes. It bounds what a stored group costs each time that a cluster changes.
const MaxText = 4 << 10

// ErrTooLong says that a selector or an expression is longer than MaxText.
var ErrTooLong = errors.New("longer than 4096 bytes")

// New makes a Selector from the structured form: all of matchLabels and all of matchExpressions must hold. The error names every part that is
// not valid, or wraps [ErrTooLong]. The arguments remain the caller's.
func New(matchLabels map[string]string, matchExpressions []Requirement) (Selector, error) {
	requirements := make([]Requirement, 0, len(matchLabels)+len(matchExpressions))
	for key, value := range matchLabels {
		requirements = append(requirements, Requirement{Key: key, Operator: In, Values: []string{value}})
	}
	for _, r := range matchExpressions {
		r.Values = slices.Clone(r.Values)
		requirements = append(requirements, r)
	}
	for i := range requirements {
		slices.Sort(requirements[i].Values)
		requirements[i].Values = slices.Compact(requirements[i].Values)
	}
	slices.SortFunc(requirements, Requirement.compare)
	requirements = slices.CompactFunc(requirements, func(a, b Requirement) bool { return a.compare(b) == 0 })

	var errs []error
	for _, r := range requirements {
		if err := r.validate(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return Selector{}, errors.Join(errs...)
	}
	s := Selector{requirements: requirements}
	if len(s.String()) > MaxText {
		return Selector{}, fmt.Errorf("selector: %w", ErrTooLong)
	}
	return s, nil
}

// Matches tells whether labels meet all requirements.
func (s Selector) Matches(labels map[string]string) bool {
	for _, r := range s.requirements {
		if !r.Matches(labels) {
			return false
		}
	}
	return true
}

// Empty tells whether s has no requirements, and so matches everything.
func (s Selector) Empty() bool { return len(s.requirements) == 0 }

// Requirements returns a copy of the requirements in canonical order.
func (s Selector) Requirements() []Requirement {
	out := slices.Clone(s.requirements)
	for i := range out {
		out[i].Values = slices.Clone(out[i].Values)
	}
	return out
}

// String returns the canonical text: requirements ascending by key, values ascending, nothing twice. [Parse] reads it back as the same
// Selector, and Selectors with equal text are equal. The empty Selector is "".
func (s Selector) String() string {
	var b strings.Builder
	for i, r := range s.requirements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(r.String())
	}
	return b.String()
}

// Matches tells whether labels meet the requirement.
func (r Requirement) Matches(labels map[string]string) bool {
	value, ok := labels[r.Key]
	switch r.Operator {
	case In:
		return ok && slices.Contains(r.Values, value)
	case NotIn:
		return !ok || !slices.Contains(r.Values, value)
	case Exists:
		return ok
	case DoesNotExist:
		return !ok
	default:
		return false
	}
}

// String returns the requirement in the text grammar.
func (r Requirement) String() string {
	switch {
	case r.Operator == Exists:
		return r.Key
	case r.Operator == DoesNotExist:
		return "!" + r.Key
	case r.Operator == In && len(r.Values) == 1:
		return r.Key + "=" + r.Values[0]
	case r.Operator == NotIn && len(r.Values) == 1:
		return r.Key + "!=" + r.Values[0]
	case r.Operator == In:
		return r.Key + " in (" + strings.Join(r.Values, ",") + ")"
	case r.Operator == NotIn:
		return r.Key + " notin (" + strings.Join(r.Values, ",") + ")"
	default:
		return r.Key + " " + string(r.Operator)
	}
}

func (r Requirement) compare(other Requirement) int {
	return cmp.Or(
		strings.Compare(r.Key, other.Key),
		strings.Compare(string(r.Operator), string(other.Operator)),
		slices.Compare(r.Values, other.Values),
	)
}

func (r Requirement) validate() error {
	if err := ValidateKey(r.Key); err != nil {
		return err
	}
	switch r.Operator {
	case In, NotIn:
		if len(r.Values) == 0 {
			return fmt.Errorf("label %q: %s needs at least one value", r.Key, r.Operator)
		}
	case Exists, DoesNotExist:
		if len(r.Values) > 0 {
			return fmt.Errorf("label %q: %s takes no values", r.Key, r.Operator)
		}
	default:
		return fmt.Errorf("label %q: operator %q: want In, NotIn, Exists or DoesNotExist", r.Key, clip(string(r.Operator)))
	}
	for _, value := range r.Values {
		if err := ValidateValue(value); err != nil {
			return fmt.Errorf("label %q: %w", r.Key, err)
		}
	}
	return nil
}
