package live

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

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
	// Fields identifies our entry in its managedFields, and whether an autoscaler has fields of it: 0 if there is no entry.
	Fields uint64
	// Scaled is set while an autoscaler has fields of it, such as its replicas.
	Scaled bool
	// Keep is what the object itself says of whether it is to survive its bundle.
	Keep Keep
	// Deleting is set while finalizers hold up the object's deletion.
	Deleting bool
	// End is how far its status tells that it has ended, as that of a Job does.
	End End
}

// End is what the metadata tells of an object's end: which fields its status has, and not what they say.
type End uint8

// Only a Job's End means anything.
const (
	// EndNone: nothing is over.
	EndNone End = iota
	// EndFailing: pods have failed, and there is a condition. A Job gets one when it gives up, or has had one if it was ever suspended: it tells how it has
	// ended once it is gone, and not before.
	EndFailing
	// EndDone: there is a time of completion.
	EndDone
)

// Keep says whether an object is to survive its bundle.
type Keep uint8

// An object that does not say is kept if its bundle keeps its objects.
const (
	KeepUnsaid Keep = iota
	KeepYes
	KeepNo
)

// KeepOf reads an object's annotations.
func KeepOf(annotations map[string]string) Keep {
	switch annotations[yardarmv1.AnnotationKeep] {
	case "true":
		return KeepYes
	case "false":
		return KeepNo
	}
	return KeepUnsaid
}

// Or tells whether the object is kept, given what its bundle says.
func (k Keep) Or(bundle bool) bool { return k == KeepYes || k == KeepUnsaid && bundle }

// Of answers what is kept of an object's metadata.
func Of(m metav1.Object) Object {
	fields, scaled := owned(m.GetManagedFields())
	return Object{
		UID:      string(m.GetUID()),
		Version:  parseVersion(m.GetResourceVersion()),
		Fields:   fields,
		Scaled:   scaled,
		Keep:     KeepOf(m.GetAnnotations()),
		Deleting: m.GetDeletionTimestamp() != nil,
		End:      endOf(m.GetManagedFields()),
	}
}

// endOf reads managedFields: the metadata is all that a watch tells, and a Job may delete itself in the moment that it ends.
func endOf(entries []metav1.ManagedFieldsEntry) End {
	end := EndNone
	for _, e := range entries {
		if e.Subresource != "status" || e.FieldsV1 == nil {
			continue
		}
		has := func(field string) bool { return bytes.Contains(e.FieldsV1.GetRawBytes(), []byte(field)) }
		switch {
		case has(`"f:completionTime"`):
			return EndDone
		case has(`"f:conditions"`) && has(`"f:failed"`):
			end = EndFailing
		}
	}
	return end
}

func parseVersion(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64)
	return n
}

// scaledMark is what Fields differs by while an autoscaler has fields: when a person takes them from it, that is a change of
// what we would apply, though our entry has not had them for long.
const scaledMark = 1 << 32

// owned hashes the set of fields that we own by having applied them, and tells whether an autoscaler owns some. The API server
// writes the set in one order.
func owned(entries []metav1.ManagedFieldsEntry) (fields uint64, scaled bool) {
	for i := range entries {
		e := &entries[i]
		scaled = scaled || Autoscaler(e)
		if fields == 0 && Ours(e) && e.FieldsV1 != nil {
			sum := sha256.Sum256(e.FieldsV1.GetRawBytes())
			fields = binary.BigEndian.Uint64(sum[:]) | 1 // never 0, which says that there is none
		}
	}
	if scaled && fields != 0 {
		fields ^= scaledMark
	}
	return fields, scaled
}

// Ours tells whether an entry of managedFields has what we applied.
func Ours(e *metav1.ManagedFieldsEntry) bool {
	return e.Manager == Manager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
}

// autoscalers are programs that scale by themselves and whose names do not say so. The field manager is the program's name, and
// some distributions have the controllers in one program with everything else.
var autoscalers = []string{"k3s", "kubelite", "keda"}

// Autoscaler tells whether an entry has what a controller has set by the scale subresource, as the HorizontalPodAutoscaler does.
// People scale by it, too (kubectl scale), so only known programs and those that call themselves controllers count: another one
// that scales on and on is reported as a fight, and an ignore rule ends it.
func Autoscaler(e *metav1.ManagedFieldsEntry) bool {
	if e.Subresource != "scale" {
		return false
	}
	name := strings.ToLower(e.Manager)
	return strings.Contains(name, "controller") || strings.Contains(name, "autoscaler") || strings.Contains(name, "operator") ||
		slices.Contains(autoscalers, name)
}
