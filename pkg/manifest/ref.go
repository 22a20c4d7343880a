package manifest

import (
	"cmp"
	"fmt"
	"strings"
)

// Ref is the identity of an object in a cluster. The API version is no part of it: apps/v1 and apps/v1beta1 name the same Deployment.
// The zero Ref names nothing.
type Ref struct {
	Group     string // "" is the core group
	Kind      string
	Namespace string // "" for cluster-scoped objects, and for objects that leave the namespace to the spoke
	Name      string
}

// String is for people: "apps/Deployment prod/web", "ConfigMap prod/web" in the core group, "Namespace prod" without a namespace.
func (r Ref) String() string {
	var b strings.Builder
	b.Grow(len(r.Group) + len(r.Kind) + len(r.Namespace) + len(r.Name) + 3)
	if r.Group != "" {
		b.WriteString(r.Group)
		b.WriteByte('/')
	}
	b.WriteString(r.Kind)
	b.WriteByte(' ')
	if r.Namespace != "" {
		b.WriteString(r.Namespace)
		b.WriteByte('/')
	}
	b.WriteString(r.Name)
	return b.String()
}

// ParseRef is the inverse of [Ref.String], for those who get a reference as it was written for people. It fails for anything that String does not
// return for a valid Ref.
func ParseRef(text string) (Ref, error) {
	before, name, _ := strings.Cut(text, " ")
	ref := Ref{Kind: before, Name: name}
	if i := strings.LastIndexByte(before, '/'); i >= 0 {
		ref.Group, ref.Kind = before[:i], before[i+1:]
	}
	if namespace, name, ok := strings.Cut(name, "/"); ok {
		ref.Namespace, ref.Name = namespace, name
	}
	if err := ref.Validate(); err != nil {
		return Ref{}, fmt.Errorf("object %q: %w", clip(text), err)
	}
	if ref.String() != text {
		return Ref{}, fmt.Errorf("object %q: want group/kind namespace/name", clip(text))
	}
	return ref, nil
}

// Compare orders by group, kind, namespace and name, in this order, byte by byte. It is the order of lines in canonical form.
func (r Ref) Compare(other Ref) int {
	return cmp.Or(
		strings.Compare(r.Group, other.Group),
		strings.Compare(r.Kind, other.Kind),
		strings.Compare(r.Namespace, other.Namespace),
		strings.Compare(r.Name, other.Name),
	)
}

// Key is for machines: group/kind/namespace/name with empty parts left empty, such as "apps/Deployment/prod/web" or
// "/Namespace//prod". No valid part contains a slash, so [ParseKey] can undo it. Inventories store it.
func (r Ref) Key() string {
	return r.Group + "/" + r.Kind + "/" + r.Namespace + "/" + r.Name
}

// ParseKey is the inverse of [Ref.Key]. It fails for anything that Key does not return for a valid Ref.
func ParseKey(key string) (Ref, error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return Ref{}, fmt.Errorf("object key %q: want group/kind/namespace/name", clip(key))
	}
	ref := Ref{Group: parts[0], Kind: parts[1], Namespace: parts[2], Name: parts[3]}
	if err := ref.Validate(); err != nil {
		return Ref{}, fmt.Errorf("object key %q: %w", clip(key), err)
	}
	return ref, nil
}

// Validate reports the first part of r that Kubernetes would refuse for every kind.
func (r Ref) Validate() error {
	if msg := checkGroup(r.Group); msg != "" {
		return fmt.Errorf("group %s", msg)
	}
	if msg := checkKind(r.Kind); msg != "" {
		return fmt.Errorf("kind %s", msg)
	}
	if r.Namespace != "" {
		if msg := checkLabel(r.Namespace); msg != "" {
			return fmt.Errorf("namespace %s", msg)
		}
	}
	if msg := checkObjectName(r); msg != "" {
		return fmt.Errorf("name %s", msg)
	}
	return nil
}
