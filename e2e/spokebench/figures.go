package main

import (
	"fmt"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
)

// Figures are what is measured.
type Figures struct {
	// DriftP99 is from the edit or deletion of a managed object until it is as it was.
	DriftP99 float64 `json:"drift_p99_ms"`
	// ApplyRatio is of the time from a publication until all its objects are in the cluster, to that of kubectl apply --server-side.
	ApplyRatio float64 `json:"apply_ratio"`
	// RSS of the spoke after churn, among others' objects and without them.
	RSS        int64 `json:"rss_bytes"`
	RSSWithout int64 `json:"rss_bytes_without_others"`
	// What a spoke does while nothing changes: processor time, and writes to the API server.
	IdleMillicores float64 `json:"idle_millicores"`
	IdleWrites     int     `json:"idle_writes"`
	// NoopRequests is the most requests about one kind that comparing all objects whole takes while nothing differs.
	NoopRequests float64 `json:"noop_requests"`

	detail detail
}

// detail is what the table says besides.
type detail struct {
	drifts                    int
	ours, kubectl             float64 // ms
	kubectlVersion            string
	objects, others, seconds  int
	noopWrites, kinds, passes int
}

const mib = 1 << 20

// Lines are the figures beside the targets of the issue that asked for them.
func (f *Figures) Lines() []report.Line {
	d := &f.detail
	return []report.Line{
		{Scenario: "drift", Figure: fmt.Sprintf("edit or deletion → repaired, p99 of %d", d.drifts), Value: fmt.Sprintf("%.0f ms", f.DriftP99), Target: "≤ 250 ms", Met: f.DriftP99 <= 250},
		{Scenario: "apply", Figure: "publish → all applied, to " + d.kubectlVersion + " apply --server-side", Value: fmt.Sprintf("%.0f ms / %.0f ms = %.2f", d.ours, d.kubectl, f.ApplyRatio), Target: "≤ 0.5", Met: f.ApplyRatio <= 0.5},
		{Scenario: "memory", Figure: fmt.Sprintf("resident, %d objects among %d others, after churn", d.objects, d.others), Value: fmt.Sprintf("%.1f MiB", float64(f.RSS)/mib), Target: "≤ 45 MiB", Met: f.RSS <= 45*mib},
		// Two processes that do the same differ by what the runtime has given back to the kernel.
		{Scenario: "memory", Figure: "the same, to without the others", Value: fmt.Sprintf("%.1f MiB = %.2f", float64(f.RSSWithout)/mib, float64(f.RSS)/float64(max(f.RSSWithout, 1))), Target: "≤ 1.05", Met: float64(f.RSS) <= 1.05*float64(f.RSSWithout)},
		{Scenario: "idle", Figure: fmt.Sprintf("CPU over %d s", d.seconds), Value: fmt.Sprintf("%.2f millicores", f.IdleMillicores), Target: "≤ 2", Met: f.IdleMillicores <= 2},
		{Scenario: "idle", Figure: "writes to the API server", Value: fmt.Sprint(f.IdleWrites), Target: "0", Met: f.IdleWrites == 0},
		{Scenario: "no-op", Figure: fmt.Sprintf("requests per kind, %d kinds, %d passes over %d objects", d.kinds, d.passes, d.objects), Value: fmt.Sprintf("%.2f", f.NoopRequests), Target: "≤ 1", Met: f.NoopRequests <= 1},
		{Scenario: "no-op", Figure: "writes", Value: fmt.Sprint(d.noopWrites), Target: "0", Met: d.noopWrites == 0},
	}
}
