package report

import "fmt"

// Line is one figure beside its target.
type Line struct {
	Scenario, Figure, Value, Target string
	Met                             bool
}

// smallFleet is how many spokes the time of a rollout in stages is judged for: of more, there is no target.
const smallFleet = 100

// Lines lists the figures of a scenario that have a target.
func Lines(figures any) []Line {
	switch f := figures.(type) {
	case *Connect:
		return []Line{
			{"connect", fmt.Sprintf("drops of %d spokes in %.0f s", f.Spokes, f.HeldSeconds), fmt.Sprint(f.Drops), "0", f.Drops == 0},
			f.memory(),
		}
	case *Idle:
		return []Line{
			{"idle", fmt.Sprintf("hub CPU with %d spokes", f.Spokes), fmt.Sprintf("%.1f %% (bare: %.1f %%)", f.HubCPUPercent, f.FloorCPUPercent), "≤ 5 %", f.HubCPUPercent <= 5},
			{"idle", "fsyncs", fmt.Sprint(f.Fsyncs), "0", f.Fsyncs == 0},
		}
	case *Change:
		return []Line{
			{"change", fmt.Sprintf("p99 of %d spokes, to the bare fan-out's", f.Spokes), fmt.Sprintf("%.0f ms / %.0f ms = %.2f", f.P99, f.FloorP99, f.Ratio), "≤ 1.5", f.Ratio <= 1.5},
			{"change", fmt.Sprintf("bytes down per spoke for one field of %d bytes", f.ArtifactBytes), fmt.Sprintf("%.0f", f.BytesPerSpoke), "≤ 200", f.BytesPerSpoke <= 200},
		}
	case *Rollout:
		lines := []Line{
			{"rollout", fmt.Sprintf("work after one report, %d clusters × %d bundles", f.Clusters, f.Bundles), fmt.Sprintf("%.0f µs", f.PlanPerReport), "≤ 1,000 µs", f.PlanPerReport <= 1000},
			{"rollout", fmt.Sprintf("a diff for %d clusters with 100 inputs", f.Clusters), fmt.Sprintf("%.2f s", f.DiffSeconds), "≤ 1 s for 10,000", f.DiffSeconds <= 1},
			{"rollout", fmt.Sprintf("problems over %d clusters, %d failing", f.Clusters, f.Failing), fmt.Sprintf("%.0f ms", f.Problems), "≤ 100 ms for 10,000", f.Problems <= 100},
		}
		if f.Spokes <= smallFleet {
			lines = append(lines, Line{"rollout", fmt.Sprintf("a change through %d clusters in three stages", f.Spokes), fmt.Sprintf("%.2f s", f.ConvergedSeconds), "≤ 2 s", f.ConvergedSeconds <= 2})
		}
		return lines
	case *Stalled:
		return []Line{
			{"stalled", fmt.Sprintf("p99 of a change beside %d of %d spokes that read nothing, to that without them", f.Stalled, f.Spokes), fmt.Sprintf("%.0f ms / %.0f ms = %.2f", f.P99, f.P99Without, f.Ratio), "≤ 1.2", f.Ratio <= 1.2},
		}
	case *Storm:
		return []Line{
			{"storm", fmt.Sprintf("convergence of %d spokes beyond the window, to bare full handshakes", f.Spokes), fmt.Sprintf("(%.1f s − %.1f s) / %.1f s = %.2f", f.ConvergedSeconds, f.JitterWindow, f.FloorFull, f.Ratio), "≤ 1.3", f.Ratio <= 1.3},
			{"storm", "resync bytes per unchanged spoke, both ways", fmt.Sprintf("%.0f", f.ResyncBytesPerSpoke), "≤ 250", f.ResyncBytesPerSpoke <= 250},
			{"storm", "peak memory, to steady", fmt.Sprintf("%.2f", f.RSSPeakRatio), "≤ 1.5", f.RSSPeakRatio <= 1.5},
		}
	case *Write:
		return []Line{
			{"write", fmt.Sprintf("durable writes a second, %d writers", f.Writers), fmt.Sprintf("%.0f", f.WritesPerSecond), "≥ 20,000", f.WritesPerSecond >= 20_000},
			{"write", "sequential writes, to raw fdatasyncs", fmt.Sprintf("%.0f / %.0f = %.2f", f.SequentialWritesPerSecond, f.FdatasyncsPerSecond, f.SequentialRatio), "≥ 0.35", f.SequentialRatio >= 0.35},
		}
	case *Open:
		return []Line{
			{"open", fmt.Sprintf("%d clusters × %d bundles until serving", f.Clusters, f.Bundles), fmt.Sprintf("%.1f s", f.Seconds), "≤ 10 s", f.Seconds <= 10},
			{"open", "resident memory", fmt.Sprintf("%.2f GiB", float64(f.RSS)/(1<<30)), "≤ 2 GiB", f.RSS <= 2<<30},
		}
	case *API:
		return []Line{
			{"api", fmt.Sprintf("list of 50 of %d clusters, p99 (p50: %.1f ms; a call alone: %.1f ms)", f.Clusters, f.ListP50, f.FloorP99), fmt.Sprintf("%.1f ms", f.ListP99), "≤ 10 ms", f.ListP99 <= 10},
			{"api", fmt.Sprintf("facets over %d clusters × %d bundles, p99", f.Clusters, f.Bundles), fmt.Sprintf("%.1f ms", f.FacetsP99), "≤ 20 ms", f.FacetsP99 <= 20},
			{"api", fmt.Sprintf("%d watches of 1 %% of %.0f of %d changes a second, p99 (CPU: hub %.1f s, generator %.1f s of %.1f s)", f.Watchers, f.MadePerSecond, f.ChangesPerSecond, f.HubCPU, f.GeneratorCPU, f.WatchSeconds), fmt.Sprintf("%.0f ms", f.WatchP99), "≤ 600 ms", f.WatchP99 <= 600},
			{"api", "authorization of a call", fmt.Sprintf("%.1f µs", f.Authz), "≤ 20 µs", f.Authz <= 20},
		}
	case *Dashboard:
		of := fmt.Sprintf("%d clusters × %d bundles", f.Clusters, f.Bundles)
		return []Line{
			{"dashboard", "first useful paint, " + of, fmt.Sprintf("%.0f ms", f.FirstPaint), "≤ 1,000 ms", f.FirstPaint <= 1000},
			{"dashboard", "the table filtered", fmt.Sprintf("%.0f ms", f.Filter), "≤ 200 ms", f.Filter <= 200},
			{"dashboard", "the table sorted", fmt.Sprintf("%.0f ms", f.Sort), "≤ 200 ms", f.Sort <= 200},
			{"dashboard", "nodes of the document", fmt.Sprint(f.Nodes), "≤ 2,000", f.Nodes <= 2000},
			{"dashboard", fmt.Sprintf("main thread, %.0f states a second for %.0f s", f.ChangesPerSecond, f.Seconds), fmt.Sprintf("%.1f %%", f.BusyPercent), "< 50 %", f.BusyPercent < 50},
			{"dashboard", "states that are drawn wrong after it", fmt.Sprint(f.Dropped), "0", f.Dropped == 0},
			{"dashboard", fmt.Sprintf("memory of the page after it, beyond %.1f MB", float64(f.Heap)/1e6), fmt.Sprintf("%.2f MB", float64(f.HeapGrowth)/1e6), "≤ 1 MB", f.HeapGrowth <= 1e6},
		}
	case *Source:
		return []Line{
			{"source", fmt.Sprintf("a push of one of %d files until its revision, p99", f.Files), fmt.Sprintf("%.0f ms", f.PushP99), "≤ 1,000 ms", f.PushP99 <= 1000},
			{"source", fmt.Sprintf("requests to each of %d repositories that have nothing new", f.Repositories), fmt.Sprintf("%.2f", f.PollRefs), "1", f.PollRefs == 1},
			{"source", "writes while they are polled", fmt.Sprint(f.PollWrites), "0", f.PollWrites == 0},
			{"source", fmt.Sprintf("a chart of %d objects", f.Objects), fmt.Sprintf("%.0f ms", f.Helm), "≤ 200 ms", f.Helm <= 200},
			{"source", fmt.Sprintf("renders of a revision that %d clusters run", f.Clusters), fmt.Sprintf("%.2f", f.RendersPerVariant), "1", f.RendersPerVariant == 1},
		}
	case *Growth:
		return []Line{
			{"growth", fmt.Sprintf("exponent of memory, %d to %d spokes", first(f.Sizes), last(f.Sizes)), fmt.Sprintf("%.2f", f.MemoryExponent), "≤ 1.05", f.MemoryExponent <= 1.05},
			{"growth", "exponent of a change's cost", fmt.Sprintf("%.2f (the spokes' own: %.2f)", f.ChangeExponent, f.SpokesExponent), "≤ 1.05", f.ChangeExponent <= 1.05},
			{"growth", fmt.Sprintf("a change of ten among %d, to among %d", last(f.Sizes), f.Few), fmt.Sprintf("%.1f ms / %.1f ms = %.2f", last(f.TenCPU)*1e3, f.TenOfFewCPU*1e3, f.TenOfManyRatio), "≤ 1.2", f.TenOfManyRatio > 0 && f.TenOfManyRatio <= 1.2},
		}
	}
	return nil
}

// memory is the line of a hub's memory beside a bare server's. Without a floor, the target is not met.
func (f *Connect) memory() Line {
	l := Line{Scenario: "connect", Figure: "hub memory per spoke, to a bare stream's", Target: "≤ 1.25"}
	if f.FloorBroke != "" {
		l.Value = fmt.Sprintf("%.0f KB; the floor broke", float64(f.HubRSSPerSpoke)/1e3)
		return l
	}
	l.Value = fmt.Sprintf("%.0f KB / %.0f KB = %.2f", float64(f.HubRSSPerSpoke)/1e3, float64(f.BareRSSPerSpoke)/1e3, f.RSSRatioToBare)
	l.Met = f.RSSRatioToBare <= 1.25
	return l
}

// first and last of values; zero where there are none.
func first[T any](values []T) (v T) {
	if len(values) > 0 {
		v = values[0]
	}
	return v
}

func last[T any](values []T) (v T) {
	if len(values) > 0 {
		v = values[len(values)-1]
	}
	return v
}
