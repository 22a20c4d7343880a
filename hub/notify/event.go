package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Event is what a receiver is told; as JSON, it is the body. Fields are added and never change their meaning.
type Event struct {
	// ID is the same each time the event is told.
	ID string `json:"id"`
	// Time is since when it is so.
	Time     time.Time `json:"time"`
	Topic    string    `json:"topic"`
	Severity string    `json:"severity"`
	// Fleet is the hub's, which tells the events of two hubs apart.
	Fleet string `json:"fleet"`
	// Notification is the name of the one that this is told for.
	Notification string `json:"notification"`
	Bundle       string `json:"bundle,omitempty"`
	Revision     uint32 `json:"revision,omitempty"`
	// Groups are those that the bundle targets, or that the clusters belong to.
	Groups []string `json:"groups,omitempty"`
	// Clusters are some of those that it is about, by name, and ClusterCount is how many there are; left out where it is about a rollout.
	Clusters     []string `json:"clusters,omitempty"`
	ClusterCount int      `json:"clusterCount,omitempty"`
	// Summary is one line for people, and Message says more where there is more to say.
	Summary string `json:"summary"`
	Message string `json:"message,omitempty"`
}

// severities of topics.
var severities = map[string]string{
	yardarmv1.TopicApproval: yardarmv1.SeverityInfo, yardarmv1.TopicConvergence: yardarmv1.SeverityInfo, yardarmv1.TopicTest: yardarmv1.SeverityInfo,
	yardarmv1.TopicDivergence: yardarmv1.SeverityWarning, yardarmv1.TopicStale: yardarmv1.SeverityWarning, yardarmv1.TopicRollback: yardarmv1.SeverityWarning,
	yardarmv1.TopicFailure: yardarmv1.SeverityError,
}

// Topics are those that a notification may be narrowed to.
var Topics = []string{yardarmv1.TopicApproval, yardarmv1.TopicConvergence, yardarmv1.TopicDivergence, yardarmv1.TopicFailure, yardarmv1.TopicRollback, yardarmv1.TopicStale}

// Severities are those that a notification may be narrowed to, the least first.
var Severities = []string{yardarmv1.SeverityInfo, yardarmv1.SeverityWarning, yardarmv1.SeverityError}

// id makes that of an event of what it is about.
func id(parts ...any) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%v\x00", part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]) // 128 bits: no two are ever the same
}

// wants tells whether a notification is for an event.
func wants(n *storev1.Notification, e *Event) bool {
	spec := n.GetNotification().GetSpec()
	return among(spec.GetTopics(), e.Topic) && among(spec.GetBundles(), e.Bundle) &&
		(len(spec.GetClusterGroups()) == 0 || slices.ContainsFunc(e.Groups, func(g string) bool { return slices.Contains(spec.GetClusterGroups(), g) })) &&
		slices.Index(Severities, e.Severity) >= slices.Index(Severities, spec.GetSeverity())
}

// among tells whether a list has the word, or narrows nothing.
func among(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }

// text is the event in one or two lines.
func (e *Event) text() string {
	return strings.TrimSuffix(e.Summary+"\n"+e.Message, "\n")
}
