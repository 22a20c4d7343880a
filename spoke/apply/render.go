package apply

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// DefaultNamespace is where objects of namespaced kinds go that name no namespace, if the bundle says nothing else.
const DefaultNamespace = "default"

// Bundle is whose objects are rendered.
type Bundle struct {
	Name, UID string
	// Namespace for objects that name none. Empty: DefaultNamespace.
	Namespace string
	// Delivery is the bundle's policy; nil is all defaults.
	Delivery *yardarmv1.DeliveryPolicy
	// Ignore are the policy's ignore rules.
	Ignore ignore.Rules
}

func (b Bundle) namespace() string {
	if b.Namespace == "" {
		return DefaultNamespace
	}
	return b.Namespace
}

// Item is one object, ready to be applied.
type Item struct {
	// Ref has the namespace that the object goes to.
	Ref  manifest.Ref
	Kind kube.Kind
	// Object shares all but its metadata with the artifact's; it must not be changed.
	Object manifest.Object
	// Content identifies everything that is sent for it.
	Content  uint64
	Delivery Delivery
	// Ignore are the fields that are left as they are found.
	Ignore []ignore.Pointer
	// Suspect is set by the caller on objects that somebody has changed or deleted: what is there is read before they are
	// applied. Scaled is set on those that an autoscaler has fields of, which are left to it, and Unseen on those of which no
	// watch tells whether one has.
	Suspect, Scaled, Unseen bool
	// Live is what was there before, where that was read; Gone is set if nothing was. Set on items that a callee gets.
	Live *unstructured.Unstructured
	Gone bool
	// whole is the object without anything left out, where Object is what is sent over a live one.
	whole manifest.Object
	// Fresh is set by the caller on objects that the bundle has never applied, or that are gone, as far as is known: what is there
	// under that name may be somebody else's.
	Fresh bool
	// OwnKind is set if the bundle itself defines the kind, and Unserved if the API server does not know it yet.
	OwnKind, Unserved bool
}

// owner is the uid of the item's bundle.
func (i *Item) owner() string {
	uid, _ := i.Object.Annotation(yardarmv1.AnnotationOwner)
	return uid
}

// Rendered is an artifact as it goes to this cluster.
type Rendered struct {
	Items []Item // ascending by Ref
	// Problems are the objects that cannot be applied at all.
	Problems []*Problem
	// unresolved are those of the problems' objects whose namespace cannot be told, as the manifest names them.
	unresolved map[manifest.Ref]bool
	refs       map[manifest.Ref]bool
	namespace  string
	// Namespaces are those that the bundle itself makes.
	Namespaces map[string]bool
}

// Kinds answers the kinds that are in use and served, each once.
func (r *Rendered) Kinds() []kube.Kind {
	seen := map[kube.Kind]bool{}
	var kinds []kube.Kind
	for i := range r.Items {
		if k := r.Items[i].Kind; !seen[k] && !r.Items[i].Unserved {
			seen[k] = true
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Total is how many objects the bundle has.
func (r *Rendered) Total() int { return len(r.Items) + len(r.Problems) }

// Has tells whether an object of the cluster is among them. In doubt, because an object's kind is not known now, it is.
func (r *Rendered) Has(ref manifest.Ref) bool {
	if r.refs[ref] || r.unresolved[ref] {
		return true
	}
	return ref.Namespace == r.namespace && r.unresolved[manifest.Ref{Group: ref.Group, Kind: ref.Kind, Name: ref.Name}]
}

// Render decides for each object of an artifact where it goes, and marks it as the bundle's. An error means that the API
// server cannot be asked now about some kind.
func Render(ctx context.Context, mapper *kube.Mapper, set *manifest.Set, b Bundle) (*Rendered, error) {
	r := &Rendered{
		unresolved: map[manifest.Ref]bool{}, refs: make(map[manifest.Ref]bool, set.Len()), Namespaces: map[string]bool{},
		namespace: b.namespace(),
	}
	own := ownKinds(set)
	lines := set.Canonical()
	for ref, object := range set.All() {
		end := bytes.IndexByte(lines, '\n') + 1
		line := lines[:end]
		lines = lines[end:]

		kind, err := mapper.Kind(ctx, ref.Group, object.Version(), ref.Kind)
		ownKind, unserved := false, false
		if defined, ok := own[ownKey{ref.Group, object.Version(), ref.Kind}]; ok {
			ownKind = true
			if errors.Is(err, kube.ErrUnknownKind) {
				kind, err, unserved = defined, nil, true
			}
		}
		switch {
		case errors.Is(err, kube.ErrUnknownKind):
			r.unresolved[ref] = true
			r.Problems = append(r.Problems, Explain(ref, err))
			continue
		case err != nil:
			return nil, err
		case !kind.Namespaced && ref.Namespace != "":
			r.refs[manifest.Ref{Group: ref.Group, Kind: ref.Kind, Name: ref.Name}] = true
			r.Problems = append(r.Problems, &Problem{Ref: ref, Reason: ReasonNamespaceOnCluster,
				Message: fmt.Sprintf("objects of kind %s belong to the whole cluster; take metadata.namespace out", ref.Kind)})
			continue
		case kind.Namespaced && ref.Namespace == "":
			ref.Namespace = b.namespace()
		}
		if r.refs[ref] {
			r.Problems = append(r.Problems, &Problem{Ref: ref, Reason: ReasonInvalid,
				Message: fmt.Sprintf("the bundle has this object twice, once with namespace %s and once without; take one out", ref.Namespace)})
			continue
		}
		r.refs[ref] = true
		delivery, err := deliveryOf(b.Delivery, object)
		if err != nil {
			r.Problems = append(r.Problems, &Problem{Ref: ref, Reason: ReasonInvalid, Message: "annotation " + err.Error()})
			continue
		}
		if ref.Group == "" && ref.Kind == "Namespace" {
			r.Namespaces[ref.Name] = true
		}
		ignored := b.Ignore.Of(object, ref.Namespace)
		r.Items = append(r.Items, Item{
			Ref: ref, Kind: kind, Object: mark(object, ref.Namespace, b),
			// A field that is ignored no more is to be applied again.
			Content: contentHash(line, ref.Namespace, b) ^ ignore.Hash(ignored)&^1, Ignore: ignored,
			Delivery: delivery, OwnKind: ownKind, Unserved: unserved,
		})
	}
	slices.SortFunc(r.Items, func(a, b Item) int { return a.Ref.Compare(b.Ref) })
	return r, nil
}

// mark answers the object as it is sent: with its namespace, and with the label and annotation that say whose it is. It copies what it
// changes.
func mark(object manifest.Object, namespace string, b Bundle) manifest.Object {
	out := maps.Clone(withoutStringData(object))
	metadata := map[string]any{}
	if old, ok := object["metadata"].(map[string]any); ok {
		metadata = maps.Clone(old)
	}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	metadata["labels"] = with(metadata["labels"], yardarmv1.LabelBundle, b.Name)
	metadata["annotations"] = with(metadata["annotations"], yardarmv1.AnnotationOwner, b.UID)
	out["metadata"] = metadata
	if _, ok := object["aggregationRule"].(map[string]any); ok && object.Group() == "rbac.authorization.k8s.io" {
		// A controller of the cluster fills them in, whatever is set: applying them, too, would be a fight without end.
		delete(out, "rules")
	}
	return out
}

func with(old any, key, value string) map[string]any {
	out := map[string]any{}
	if m, ok := old.(map[string]any); ok {
		maps.Copy(out, m)
	}
	out[key] = value
	return out
}

// renderVersion changes when mark does, so that all objects are applied anew.
const renderVersion = "2"

// contentHash identifies what mark makes of a canonical line.
func contentHash(line []byte, namespace string, b Bundle) uint64 {
	h := sha256.New()
	for _, part := range []string{renderVersion, namespace, b.Name, b.UID} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(line)
	return binary.BigEndian.Uint64(h.Sum(nil)) | 1 // never 0, which says that nothing is known to be applied
}

type ownKey struct{ group, version, kind string }

// ownKinds answers the kinds that the set's CustomResourceDefinitions will add.
func ownKinds(set *manifest.Set) map[ownKey]kube.Kind {
	var own map[ownKey]kube.Kind
	for ref, object := range set.All() {
		if ref.Group != crdGroup || ref.Kind != crdKind {
			continue
		}
		spec, _ := object["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		plural, _ := names["plural"].(string)
		scope, _ := spec["scope"].(string)
		versions, _ := spec["versions"].([]any)
		for _, v := range versions {
			version, _ := v.(map[string]any)
			name, _ := version["name"].(string)
			if served, ok := version["served"].(bool); ok && !served {
				continue
			}
			if own == nil {
				own = map[ownKey]kube.Kind{}
			}
			own[ownKey{group, name, kind}] = kube.Kind{
				Group: group, Version: name, Kind: kind, Resource: plural, Namespaced: scope == "Namespaced",
			}
		}
	}
	return own
}

const (
	crdGroup = "apiextensions.k8s.io"
	crdKind  = "CustomResourceDefinition"
)
