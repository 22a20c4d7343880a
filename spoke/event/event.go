package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// controller is what events name as their source.
	controller = "yardarm.dev/spoke"
	// The API server's limits, in bytes.
	noteLimit   = 1024
	reasonLimit = 128
	// nameLimit is for the part of an event's name that says whose it is; the whole may have 253 bytes.
	nameLimit = 200
)

var resource = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}

// Event is something to be told of an object.
type Event struct {
	// Bundle is the uid of the bundle whose rate counts.
	Bundle    string
	Regarding Object
	// Type is Normal or Warning. Reason says why, and Action what the spoke did or tried, in CamelCase.
	Type, Reason, Action string
	// Note is a sentence for people. It never holds a value of the object.
	Note string
}

// Object is what an event is about.
type Object struct {
	manifest.Ref
	// Version of the API; empty where it is not known.
	Version string
	// UID is empty while the object does not exist.
	UID string
}

// namespace is where an event about the object belongs: beside it, or in the namespace that Kubernetes has for the events of
// cluster-scoped objects.
func (o *Object) namespace() string {
	if o.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return o.Namespace
}

// key identifies what an event says: equal keys are the same event, said again.
type key string

func (e *Event) key() key {
	h := sha256.New()
	for _, part := range []string{
		e.Bundle, e.Regarding.Group, e.Regarding.Kind, e.Regarding.Namespace, e.Regarding.Name, e.Regarding.UID, e.Type, e.Reason, e.Note,
	} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return key(hex.EncodeToString(h.Sum(nil)[:8]))
}

// name of the event's own object. It follows from what is said, so that a spoke that has restarted finds what it said before.
func (e *Event) name() string {
	name := strings.TrimRight(clip(e.Regarding.Name, nameLimit, ""), ".-")
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		name = "yardarm" // such as system:node, which is no name for an event
	}
	return name + "." + string(e.key())
}

func timestamp(at time.Time) string { return at.UTC().Format(metav1.RFC3339Micro) }

// clip cuts a text to a number of bytes, and ends it with a mark where it did.
func clip(s string, limit int, mark string) string {
	if len(s) > limit {
		s = s[:limit-len(mark)]
		return strings.ToValidUTF8(s, "") + mark
	}
	return strings.ToValidUTF8(s, "�")
}
