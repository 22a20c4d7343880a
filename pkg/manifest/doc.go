// Package manifest turns Kubernetes manifests into artifacts and back.
//
// An artifact is the canonical, content-addressed form of a set of objects. Its life is:
//
//	files ──ReadDir──▶ []File ──Parse──▶ *Set ──Canonical──▶ bytes ──DigestOf──▶ Digest
//	                                      ▲                    │
//	                                      └──────Decode────────┘
//
// The hub parses what people, sources and CI hand it, stores the canonical bytes under their digest and sends them to spokes, whole
// ([Compress]) or as the difference from an artifact that the spoke already holds ([EncodeDelta]). The spoke decodes them and applies the
// objects in the order that [Set.Stages] gives. The CLI parses for validation before it sends anything.
//
// # Canonical form
//
// One object per line, each line a compact JSON object followed by a newline, lines in ascending order of [Ref]. In a line, keys are
// sorted by their bytes, strings are escaped as encoding/json does without HTML escaping, integers are decimal, and other numbers are
// the shortest form that reads back as the same float64. A number that is an integer in the range of int64 is always written as one,
// so that 1, 1.0 and 1e0 are the same. Fields that only the API server writes are absent: status, and in metadata uid, resourceVersion,
// generation, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, managedFields and selfLink. So are empty labels,
// annotations and namespace. Everything else is kept as it was given, unknown fields and nulls included.
//
// Equal content therefore has equal bytes and an equal digest, whatever the files' layout, order and comments. [Decode] accepts these bytes
// and no others.
//
// # What this package does not do
//
// It knows no schemas: whether a field exists is for the API server to say. It does not know whether a kind is namespaced either, so
// an object without a namespace and the same object with namespace "default" are two objects here. It imports nothing of k8s.io: an
// [Object] is the same map[string]any that unstructured.Unstructured holds, so the spoke converts it at no cost, while the hub
// needs no Kubernetes libraries to handle artifacts.
package manifest
