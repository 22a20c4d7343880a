package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxStorageChanges is how many definitions a revision tells of, as the proto says.
const maxStorageChanges = 100

// Move is from one content to another in some cluster.
type Move struct{ Before, After []*storev1.Definition }

// StorageChanges are the definitions that moves have store objects in another way, each such step once. A definition that is new stores nothing yet, and one
// that goes is a mass deletion, which asks by itself. Whether objects are stored in a version that goes only the clusters know, so that each counts.
func StorageChanges(moves []Move) []*yardarmv1.StorageChange {
	steps := make(map[string]*yardarmv1.StorageChange)
	for _, m := range moves {
		next := make(map[string]*storev1.Definition, len(m.After))
		for _, d := range m.After {
			next[d.GetName()] = d
		}
		for _, old := range m.Before {
			if now := next[old.GetName()]; now != nil {
				if c := storageChange(old, now); c != nil {
					steps[fmt.Sprint(c.Definition, c.From, c.To, c.Removed)] = c
				}
			}
		}
	}
	var out []*yardarmv1.StorageChange
	for _, c := range steps {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *yardarmv1.StorageChange) int {
		return cmp.Or(strings.Compare(a.Definition, b.Definition), strings.Compare(a.From, b.From), slices.Compare(a.Removed, b.Removed))
	})
	return out[:min(len(out), maxStorageChanges)]
}

// storageChange is nil where objects are stored and read as before.
func storageChange(old, now *storev1.Definition) *yardarmv1.StorageChange {
	c := &yardarmv1.StorageChange{Definition: now.GetName(), From: old.GetStored(), To: now.GetStored()}
	for _, v := range old.GetVersions() {
		if !slices.Contains(now.GetVersions(), v) {
			c.Removed = append(c.Removed, v)
		}
	}
	if c.From == c.To && len(c.Removed) == 0 {
		return nil
	}
	return c
}

// Confirmation says what somebody is to confirm, as in "widgets.example.com: objects are stored as v1 instead of v1beta1; v1alpha1 goes, …".
func Confirmation(changes []*yardarmv1.StorageChange) string {
	var texts []string
	for _, c := range changes {
		var parts []string
		if c.GetFrom() != c.GetTo() {
			parts = append(parts, fmt.Sprintf("objects are stored as %s instead of %s", cmp.Or(c.GetTo(), "(none)"), cmp.Or(c.GetFrom(), "(none)")))
		}
		switch removed := strings.Join(c.GetRemoved(), ", "); len(c.GetRemoved()) {
		case 0:
		case 1:
			parts = append(parts, removed+" goes, in which some may be stored")
		default:
			parts = append(parts, removed+" go, in which some may be stored")
		}
		texts = append(texts, c.GetDefinition()+": "+strings.Join(parts, ", and "))
	}
	return strings.Join(texts, "; ")
}
