package manifest

import "strings"

// Object is one Kubernetes object as JSON values: map[string]any, []any, string, int64, float64, bool and nil, nothing else. It
// converts to the Object field of unstructured.Unstructured without copying.
//
// The accessors return zero values where a field is missing or has another type; objects of a [Set] have been checked, so there they
// are what the manifest says. An Object that belongs to a Set must not be changed: change a [Object.Clone].
type Object map[string]any

// APIVersion returns the apiVersion field, such as "apps/v1" or "v1".
func (o Object) APIVersion() string { return text(o["apiVersion"]) }

// Group returns the API group, "" for the core group.
func (o Object) Group() string {
	group, _ := splitAPIVersion(o.APIVersion())
	return group
}

// Version returns the version without the group, such as "v1".
func (o Object) Version() string {
	_, version := splitAPIVersion(o.APIVersion())
	return version
}

// Kind returns the kind field.
func (o Object) Kind() string { return text(o["kind"]) }

// Name returns metadata.name.
func (o Object) Name() string { return text(o.metadata()["name"]) }

// Namespace returns metadata.namespace, "" if there is none.
func (o Object) Namespace() string { return text(o.metadata()["namespace"]) }

// Labels returns a copy of metadata.labels, nil if there are none. Values that are no strings are left out.
func (o Object) Labels() map[string]string { return stringMap(o.metadata()["labels"]) }

// Annotations returns a copy of metadata.annotations, nil if there are none. Values that are no strings are left out.
func (o Object) Annotations() map[string]string { return stringMap(o.metadata()["annotations"]) }

// Annotation returns one annotation without copying the others.
func (o Object) Annotation(key string) (value string, ok bool) {
	annotations, _ := o.metadata()["annotations"].(map[string]any)
	value, ok = annotations[key].(string)
	return value, ok
}

// Ref returns the identity of the object.
func (o Object) Ref() Ref {
	metadata := o.metadata()
	return Ref{Group: o.Group(), Kind: o.Kind(), Namespace: text(metadata["namespace"]), Name: text(metadata["name"])}
}

// JSON returns the object in the form that a line of a [Set] has. It panics for values that an Object must not hold.
func (o Object) JSON() []byte { return appendObject(nil, o) }

// Clone returns a deep copy, free to be changed.
func (o Object) Clone() Object {
	if o == nil {
		return nil
	}
	return Object(cloneMap(o))
}

func (o Object) metadata() map[string]any {
	metadata, _ := o["metadata"].(map[string]any)
	return metadata
}

func splitAPIVersion(apiVersion string) (group, version string) {
	if group, version, ok := strings.Cut(apiVersion, "/"); ok {
		return group, version
	}
	return "", apiVersion
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func stringMap(v any) map[string]string {
	m, _ := v.(map[string]any)
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for key, value := range m {
		if s, ok := value.(string); ok {
			out[key] = s
		}
	}
	return out
}

func cloneMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = cloneValue(value)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = cloneValue(item)
		}
		return out
	default:
		return v
	}
}
