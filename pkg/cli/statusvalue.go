package cli

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// jsonObject is a JSON object.
type jsonObject = map[string]any

// fleetValue is what status -o json writes: all that the table tells, and the names that it leaves out.
func (a *app) fleetValue(s *fleetState) jsonObject {
	hub := jsonObject{"address": a.address, "context": a.context, "version": s.hub.GetVersion(), "fleet": s.hub.GetFleet(), "cursor": s.hub.GetCursor()}
	if s.hub.GetReadOnly() != "" {
		hub["readOnly"] = s.hub.GetReadOnly()
	}
	clusters := jsonObject{"total": len(s.clusters)}
	count := presenceCounts(s.clusters)
	for _, p := range presenceWords {
		clusters[p.key] = count[p.presence]
	}
	away := []jsonObject{}
	for _, c := range s.away {
		away = append(away, clusterValue(c))
	}
	bundles := []jsonObject{}
	for _, b := range s.bundles {
		bundles = append(bundles, bundleValue(b))
	}
	return jsonObject{"ready": s.ready(), "hub": hub, "clusters": clusters, "notConnected": away, "bundles": bundles, "notReady": assignmentValues(s.waiting),
		"drifted": assignmentValues(s.drifted)}
}

// oneValue is what status -o json writes of one bundle or cluster.
func oneValue(about client.Object, assignments []*yardarmv1.Assignment, ready bool) jsonObject {
	value := jsonObject{"ready": ready, "assignments": assignmentValues(assignments)}
	switch o := about.(type) {
	case *yardarmv1.Bundle:
		value["bundle"] = bundleValue(o)
	case *yardarmv1.Cluster:
		value["cluster"] = clusterValue(o)
	}
	return value
}

func clusterValue(c *yardarmv1.Cluster) jsonObject {
	st := c.GetStatus()
	value := jsonObject{"name": c.GetMetadata().GetName(), "phase": st.GetPhase(), "presence": st.GetPresence(), "bundles": countsValue(st.GetBundles())}
	setTime(value, "lastSeen", st.GetLastSeen())
	return value
}

func bundleValue(b *yardarmv1.Bundle) jsonObject {
	value := jsonObject{"name": b.GetMetadata().GetName(), "revision": b.GetStatus().GetRevision(), "latestRevision": b.GetStatus().GetLatestRevision(), "clusters": countsValue(b.GetStatus().GetClusters())}
	if rollsOut(b) {
		value["rollout"] = rolloutText(b)
	}
	return value
}

func countsValue(c *yardarmv1.PhaseCounts) jsonObject {
	return jsonObject{"total": c.GetTotal(), "ready": c.GetReady(), "progressing": c.GetProgressing(), "failed": c.GetFailed(), "held": c.GetHeld(),
		"pending": c.GetPending(), "drifted": c.GetDrifted(), "stale": c.GetStale(), "neverConnected": c.GetNeverConnected()}
}

func assignmentValues(list []*yardarmv1.Assignment) []jsonObject {
	values := []jsonObject{}
	for _, x := range list {
		c := causeOf(x)
		value := jsonObject{"bundle": x.GetSpec().GetBundle(), "cluster": x.GetSpec().GetCluster(), "revision": x.GetSpec().GetRevision(),
			"assigned": assigned(x), "phase": x.GetStatus().GetPhase()}
		for key, text := range map[string]string{"object": c.object, "file": c.file, "reason": c.reason, "message": c.message} {
			if text != "" {
				value[key] = text
			}
		}
		if n := x.GetStatus().GetReport().GetObjects().GetDrifted(); n > 0 {
			value["drifted"] = n
		}
		setTime(value, "asOf", x.GetStatus().GetAsOf())
		values = append(values, value)
	}
	return values
}

func setTime(value jsonObject, key string, t *timestamppb.Timestamp) {
	if t != nil {
		value[key] = t.AsTime().Format(time.RFC3339)
	}
}
