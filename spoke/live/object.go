package live

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Manager is the field manager of everything that a spoke applies.
const Manager = "yardarm"

// Object is what is kept of a live object.
type Object struct {
	UID string
	// Version is the resource version. Those of one kind are in order; 0 is one that is no number.
	Version uint64
	// Fields identifies our entry in its managedFields: 0 if there is none.
	Fields uint64
	// Keep is set on objects that are to survive their bundle.
	Keep bool
	// Deleting is set while finalizers hold up the object's deletion.
	Deleting bool
}

// Of answers what is kept of an object's metadata.
func Of(m metav1.Object) Object {
	return Object{
		UID:      string(m.GetUID()),
		Version:  parseVersion(m.GetResourceVersion()),
		Fields:   fields(m.GetManagedFields()),
		Keep:     m.GetAnnotations()[yardarmv1.AnnotationKeep] == "true",
		Deleting: m.GetDeletionTimestamp() != nil,
	}
}

func parseVersion(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64)
	return n
}

// fields hashes the set of fields that we own by having applied them. The API server writes the set in one order.
func fields(entries []metav1.ManagedFieldsEntry) uint64 {
	for _, e := range entries {
		if e.Manager != Manager || e.Operation != metav1.ManagedFieldsOperationApply || e.Subresource != "" || e.FieldsV1 == nil {
			continue
		}
		sum := sha256.Sum256(e.FieldsV1.GetRawBytes())
		return binary.BigEndian.Uint64(sum[:]) | 1 // never 0, which says that there is none
	}
	return 0
}
