package preflight

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// needs are the rights without which a spoke cannot work. Those about secrets and events are in its own namespace.
var needs = []struct {
	verbs string
	right kube.Right
	why   string
}{
	{"get", kube.Right{Resource: "namespaces", Name: "kube-system"}, "it tells which cluster this is"},
	{"list", kube.Right{Resource: "nodes"}, "facts about the cluster"},
	{"get list create update delete", kube.Right{Resource: "secrets", Own: true}, "the spoke keeps identity, state and inventories there"},
	{"create patch", kube.Right{Group: "events.k8s.io", Resource: "events", Own: true}, "events about bundles"},
}

// cluster looks at the API server, its clock, and what the spoke may do.
func (l *look) cluster(ctx context.Context) {
	const what = "API server"
	ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
	defer cancel()
	began := l.Clock()
	theirs, err := l.Cluster.ServerTime(ctx)
	if err != nil {
		l.grave(what, err.Error(), "check the kubeconfig, or in a pod its service account; where HTTPS_PROXY is set, NO_PROXY has to have the API server's address")
		return
	}
	l.fine(what, "it answers")
	l.clock(began, theirs)
	var missing []string
	for _, need := range needs {
		for verb := range strings.FieldsSeq(need.verbs) {
			right := need.right
			right.Verb = verb
			ok, err := l.Cluster.May(ctx, right)
			if err != nil {
				l.grave(what+": rights", err.Error(), "let the spoke's account create selfsubjectaccessreviews, as every account may by default")
				return
			}
			if !ok {
				missing = append(missing, fmt.Sprintf("%s (%s)", right, need.why))
			}
		}
	}
	if len(missing) > 0 {
		l.grave(what+": rights", "the spoke may not "+strings.Join(missing, ", "), "install it with its chart, which brings them, or grant them")
	} else {
		l.fine(what+": rights", "the spoke may do what it needs for itself")
	}
	l.bundles(ctx)
}

// clock compares this machine's with the API server's.
func (l *look) clock(began, theirs time.Time) {
	skew := theirs.Sub(began.Add(l.Clock().Sub(began) / 2)).Round(time.Second)
	if skew.Abs() > maxSkew {
		l.grave("clock", fmt.Sprintf("it differs by %s from the API server's", skew.Abs()), "set the clocks right (NTP): certificates would be refused")
		return
	}
	l.fine("clock", "it agrees with the API server's")
}

// bundles says what the spoke's rights mean for bundles. None of it is wrong.
func (l *look) bundles(ctx context.Context) {
	const what = "API server: bundles"
	all, err := l.Cluster.May(ctx, kube.Right{Verb: "*", Group: "*", Resource: "*"})
	if err != nil {
		return // said above
	}
	if all {
		l.fine(what, "they may write everything that the policy lets them")
		return
	}
	l.notice(what, "they are bounded by what the spoke's account may do", "see rbac.preset of the chart, if that is not meant")
	if watch, err := l.Cluster.May(ctx, kube.Right{Verb: "watch", Group: "*", Resource: "*"}); err == nil && !watch {
		l.notice(what, "the spoke may not watch all of the cluster, so drift is found only every few minutes", "let it (rbac.readCluster of the chart), if that is too seldom")
	}
}
