package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// listedClusters is how many clusters of a rollout a table has: a screen of them. -o json has more.
	listedClusters = 20
	// namedClusters is how many clusters a sentence names.
	namedClusters = 5
)

// nextDue says when time alone decides about a cluster at the latest, as in "; eu-4 counts, or has failed, in 8m at the latest".
func (a *app) nextDue(st *yardarmv1.RolloutStatus) string {
	var next *yardarmv1.RolloutCluster
	for _, c := range st.GetClusters() {
		if c.GetDue().AsTime().After(a.io.Now()) && (next == nil || c.Due.AsTime().Before(next.Due.AsTime())) {
			next = c
		}
	}
	if next == nil || st.GetWaitsFor() != yardarmv1.RolloutWaitClusters {
		return ""
	}
	return fmt.Sprintf("; %s counts, or has failed, %s at the latest", next.GetCluster(), a.until(next.Due))
}

// printArrivals says how long clusters took, and who is away, late and new.
func (a *app) printArrivals(st *yardarmv1.RolloutStatus) {
	if st.GetPace() == nil && st.GetAway() == nil && st.GetLate() == nil && st.GetJoined() == nil {
		return
	}
	a.print("")
	a.printPace(st.GetPace())
	for _, these := range []struct {
		words string
		names *yardarmv1.RolloutNames
	}{
		{"Away: ", st.GetAway()},
		{"Late, after their stage had passed: ", st.GetLate()},
		{"New to the bundle since it began: ", st.GetJoined()},
	} {
		if these.names != nil {
			a.print("%s%s.", these.words, table.Clean(namesText(these.names)))
		}
	}
}

// printPace is as in "Half of the 12 clusters that are done took 40s at most, and the slowest 2m10s (eu-4)."
func (a *app) printPace(p *yardarmv1.RolloutPace) {
	if p == nil {
		return
	}
	median, slowest, name := table.Duration(p.GetMedian().AsDuration()), table.Duration(p.GetSlowest().AsDuration()), ""
	if p.GetSlowestCluster() != "" {
		name = " (" + table.Clean(p.GetSlowestCluster()) + ")"
	}
	if p.GetClusters() == 1 {
		a.print("The cluster that is done took %s%s.", slowest, name)
		return
	}
	a.print("Half of the %d clusters that are done took %s at most, and the slowest %s%s.", p.GetClusters(), median, slowest, name)
}

// namesText is as in "eu-1, eu-2 and 3 more".
func namesText(n *yardarmv1.RolloutNames) string {
	named := n.GetNames()[:min(len(n.GetNames()), namedClusters)]
	text := strings.Join(named, ", ")
	switch more := int(n.GetClusters()) - len(named); {
	case more > 0 && text == "":
		return plural(n.GetClusters(), "cluster")
	case more > 0:
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// printRolloutClusters writes a line for each cluster that holds it up, or went back. Those that wait and are away are named by then.
func (a *app) printRolloutClusters(st *yardarmv1.RolloutStatus) error {
	clusters := slices.DeleteFunc(slices.Clone(st.GetClusters()), func(c *yardarmv1.RolloutCluster) bool { return c.GetState() == yardarmv1.MemberWaiting })
	if len(clusters) == 0 {
		return nil
	}
	a.print("")
	t := a.newTable("CLUSTER", "STAGE", "STATE", "FOR", "RUNS", "DUE", "WAITS FOR")
	for _, c := range clusters[:min(len(clusters), listedClusters)] {
		due := "-"
		if c.GetDue().AsTime().After(a.io.Now()) {
			due = a.until(c.GetDue())
		}
		t.Add(table.Text(c.GetCluster()), table.Text(c.GetStage()), table.Text(memberText(c)), table.Text(a.age(c.GetSince())), table.Text(number(c.GetRevision())),
			table.Text(due), table.Text(table.Shorten(waitsText(c), maxWhy)))
	}
	if err := a.write(t); err != nil {
		return err
	}
	if more := len(clusters) - listedClusters; more > 0 {
		a.print("… and %d more: -o json lists up to 100", more)
	}
	return nil
}

// memberText is how a cluster stands in the rollout, as in "Waiting, away".
func memberText(c *yardarmv1.RolloutCluster) string {
	text := c.GetState()
	if c.GetAway() {
		text += ", away"
	}
	if c.GetFailedBefore() {
		text += ", failing before"
	}
	return text
}

// waitsText is what a cluster waits for.
func waitsText(c *yardarmv1.RolloutCluster) string {
	if c.GetState() == yardarmv1.MemberReturned {
		return "nothing"
	}
	return cmp.Or(c.GetMessage(), "-")
}
