package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// An occasion is what comes and goes in clusters, as drift does: of all of a bundle's, or of the fleet's, and never of one. It begins once it has been so for a
// while, and is over once it has not been so for longer, so that what flaps is told once; meanwhile it is told again only when it has become ten times as large.
// What is noted of it in the store is a Told of the hub itself.
const (
	// hubUID is what occasions are noted under. No notification has it: those of resources are random.
	hubUID = "hub"
	// staleSubject is all clusters whose spokes are not heard any more; divergenceSubject those that differ from what a bundle's rollout had come to, by its uid.
	staleSubject      = "stale"
	divergenceSubject = "divergence/"
)

// maxNamed is how many clusters an event names; the others are counted.
const maxNamed = 10

// pace says when occasions begin and end.
type pace struct {
	// hold is how long it has to be so, and quiet how long not.
	hold, quiet time.Duration
}

// next says what is to be noted of an occasion that is so in n clusters, or in none, since a time. It answers the row as it is where nothing changes.
func (p pace) next(row *storev1.Told, subject string, revision uint32, n int, since, now time.Time) *storev1.Told {
	lasts := row != nil && row.Over == nil && row.Revision == revision
	switch {
	case !lasts && n > 0 && now.Sub(since) >= p.hold:
		return &storev1.Told{NotificationUid: hubUID, Subject: subject, Began: timestamppb.New(since), Digits: digits(n), Revision: revision}
	case lasts && n == 0 && now.Sub(since) >= p.quiet:
		return &storev1.Told{NotificationUid: hubUID, Subject: subject, Began: row.Began, Digits: row.Digits, Revision: revision, Over: timestamppb.New(now)}
	case lasts && digits(n) > row.Digits:
		return &storev1.Told{NotificationUid: hubUID, Subject: subject, Began: row.Began, Digits: digits(n), Revision: revision}
	}
	return row
}

// digits is how many a number has.
func digits(n int) uint32 { return uint32(len(fmt.Sprint(n))) }

// occasionEvents are what there is to tell of an occasion, of the clusters of some groups or, if none is named, of all.
func occasionEvents(tx *store.ReadTx, subject string, groups []string) []*Event {
	row := tx.Told(hubUID, subject)
	if row == nil {
		return nil
	}
	var e *Event
	if uid, ok := strings.CutPrefix(subject, divergenceSubject); ok {
		e = divergenceEvent(tx, uid, row, groups)
	} else {
		e = staleEvent(tx, row, groups)
	}
	if e == nil {
		return nil
	}
	if row.Over != nil {
		e.ID, e.Time = id(subject, row.Began.AsTime().UnixNano(), "over"), row.Over.AsTime()
		e.Topic, e.Message, e.Clusters, e.ClusterCount = yardarmv1.TopicConvergence, "", nil, 0
	} else {
		e.ID, e.Time = id(subject, row.Began.AsTime().UnixNano(), row.Digits), row.Began.AsTime()
	}
	e.Severity = severities[e.Topic]
	return []*Event{e}
}

func staleEvent(tx *store.ReadTx, row *storev1.Told, groups []string) *Event {
	e := &Event{Topic: yardarmv1.TopicStale, Summary: "all clusters are heard again"}
	if row.Over != nil {
		e.Groups = groups // whoever was told is told
		return e
	}
	of := map[string]bool{}
	var names []string
	for uid := range staleClusters(tx) {
		names = e.add(tx, uid, groups, of, names)
	}
	e.name(names)
	e.Groups = slices.Sorted(maps.Keys(of))
	e.Summary = fmt.Sprintf("%s not heard any more", clusters(len(names), "is", "are"))
	if len(names) == 0 {
		return nil
	}
	return e
}

func divergenceEvent(tx *store.ReadTx, bundleUID string, row *storev1.Told, groups []string) *Event {
	b := tx.Bundle(bundleUID)
	if b == nil || convergedAt(tx, bundleUID) != row.Revision {
		return nil
	}
	name := b.GetMetadata().GetName()
	e := &Event{Topic: yardarmv1.TopicDivergence, Bundle: name, Revision: row.Revision, Groups: targetsOf(b),
		Summary: fmt.Sprintf("%s: revision %d is where it should be again", name, row.Revision)}
	if row.Over != nil {
		return e
	}
	var names []string
	of, ways := map[string]bool{}, map[string]int{}
	for o, way := range diverging(tx, bundleUID, row.Revision) {
		before := len(names)
		if names = e.add(tx, o.GetClusterUid(), groups, of, names); len(names) > before {
			ways[way]++
		}
	}
	if len(names) == 0 {
		return nil
	}
	e.name(names)
	e.Summary = fmt.Sprintf("%s: %s not at revision %d any more", name, clusters(len(names), "is", "are"), row.Revision)
	var parts []string
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		parts = append(parts, fmt.Sprintf("%d %s", ways[way], way))
	}
	e.Message = strings.Join(parts, ", ") + ": " + e.Message
	return e
}

// add notes the name of a cluster that there is and that belongs to one of the groups, and to which of all it belongs.
func (e *Event) add(tx *store.ReadTx, uid string, groups []string, of map[string]bool, names []string) []string {
	c := tx.Cluster(uid)
	in := tx.GroupsOf(uid)
	if c == nil || len(groups) > 0 && !slices.ContainsFunc(in, func(g string) bool { return slices.Contains(groups, g) }) {
		return names
	}
	for _, g := range in {
		of[g] = true
	}
	return append(names, c.GetMetadata().GetName())
}

// name has the event name some of the clusters, and count all.
func (e *Event) name(names []string) {
	slices.Sort(names)
	e.ClusterCount, e.Clusters = len(names), names[:min(len(names), maxNamed)]
	e.Message = strings.Join(e.Clusters, ", ")
	if more := len(names) - len(e.Clusters); more > 0 {
		e.Message += fmt.Sprintf(" and %d more", more)
	}
}

// convergedAt is the revision that the rollout of a bundle has come to; 0 while none has, or another one is under way.
func convergedAt(tx *store.ReadTx, bundleUID string) uint32 {
	row := tx.Rollout(bundleUID)
	if row == nil || rollout.Phase(row.Phase) != rollout.Completed {
		return 0
	}
	return row.Revision
}

func targetsOf(b *yardarmv1.Bundle) (groups []string) {
	for _, t := range b.GetSpec().GetTargets() {
		groups = append(groups, t.GetGroup())
	}
	return groups
}

// clusters is as in "1 cluster is" and "3 clusters are".
func clusters(n int, is, are string) string {
	if n == 1 {
		return "1 cluster " + is
	}
	return fmt.Sprintf("%d clusters %s", n, are)
}
