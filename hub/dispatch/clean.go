package dispatch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
	"unique"

	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Bounds of what a spoke may say of its cluster, so that one cannot fill the hub's memory. What is kept is copied, so that
// a short text does not keep alive the message that it came in, nor fields that this hub does not know.
const (
	maxReports    = 2000   // bundles of one cluster
	maxHoldings   = 10_000 // a cluster's holdings, those included that it was never told to have
	maxProblems   = 10     // of one report
	maxDrift      = 20     // fields of one report
	maxConditions = 8      // of one report, which has a handful
	maxUID        = 64     // bytes; a uid of the hub's has 36
	maxName       = 512    // bytes of an object's reference
	maxReason     = 64     // bytes
	maxPath       = 512    // bytes of a field's path
	maxValue      = 256    // bytes of a field's value, as it is shown
	maxManager    = 128    // bytes; Kubernetes' own limit of a field manager
	maxDigest     = 128    // bytes
	maxHash       = 64     // bytes
	maxMessage    = 1024   // bytes
	maxGroups     = 1000   // API groups of a cluster
	maxCapacity   = 32     // resources of a cluster
)

var reportedPhases = []string{
	yardarmv1.PhasePending, yardarmv1.PhaseProgressing, yardarmv1.PhaseReady, yardarmv1.PhaseDegraded,
	yardarmv1.PhaseFailed, yardarmv1.PhaseHeld, yardarmv1.PhaseRemoving,
}

// keptReport is a report in one piece of memory. There is one for each bundle in each cluster, and of small objects that are kept, each keeps a page of others that are
// gone.
type keptReport struct {
	report          yardarmv1.Report
	since, observed timestamppb.Timestamp
	objects         yardarmv1.ObjectCounts
}

// cleanReport answers a bounded copy. A phase that this hub does not know is refused: it could not be counted.
func cleanReport(r *yardarmv1.Report) (*yardarmv1.Report, error) {
	if !isUID(r.BundleUid) {
		return nil, errors.New("a report names no bundle")
	}
	i := slices.Index(reportedPhases, r.Phase)
	if i < 0 {
		return nil, fmt.Errorf("a report has the unknown phase %q: upgrade the hub", clip(r.Phase, maxReason))
	}
	kept := &keptReport{}
	out := &kept.report
	out.Bundle, out.BundleUid = alike(clip(r.Bundle, maxReason)), alike(r.BundleUid)
	out.AssignmentHash, out.Revision = cut(r.AssignmentHash), r.Revision
	out.Digest, out.RenderedDigest = alike(clip(r.Digest, maxDigest)), alike(clip(r.RenderedDigest, maxDigest))
	out.Phase = reportedPhases[i] // one string for all reports
	out.Reason, out.Message = alike(clip(r.Reason, maxReason)), clip(r.Message, maxMessage)
	if out.Phase == yardarmv1.PhaseReady {
		out.Message = alike(out.Message) // of others, it names what is particular
	}
	out.Since, out.ObservedTime = cleanTimeInto(&kept.since, r.Since), cleanTimeInto(&kept.observed, r.ObservedTime)
	if o := r.Objects; o != nil {
		out.Objects = &kept.objects
		out.Objects.Total, out.Objects.Applied, out.Objects.Ready = o.Total, o.Applied, o.Ready
		out.Objects.Failed, out.Objects.Pruning, out.Objects.Drifted = o.Failed, o.Pruning, o.Drifted
	}
	for _, p := range r.Problems[:min(len(r.Problems), maxProblems)] {
		out.Problems = append(out.Problems, &yardarmv1.ObjectProblem{
			Object: clip(p.Object, maxName), Reason: clip(p.Reason, maxReason), Message: clip(p.Message, maxMessage),
			Since: cleanTime(p.Since),
		})
	}
	for _, d := range r.Drift[:min(len(r.Drift), maxDrift)] {
		out.Drift = append(out.Drift, &yardarmv1.Drift{
			Object: clip(d.Object, maxName), Path: clip(d.Path, maxPath), Desired: clip(d.Desired, maxValue), Live: clip(d.Live, maxValue),
			Manager: clip(d.Manager, maxManager), Since: cleanTime(d.Since), Corrected: cleanTime(d.Corrected), Reason: clip(d.Reason, maxReason),
		})
	}
	out.Conditions = conditions.clean(r.Conditions)
	return out, nil
}

// cleanFacts answers a bounded copy.
func cleanFacts(f *yardarmv1.Facts) *yardarmv1.Facts {
	out := &yardarmv1.Facts{
		KubernetesVersion: alike(clip(f.KubernetesVersion, maxReason)), Distribution: alike(clip(f.Distribution, maxReason)),
		Provider: alike(clip(f.Provider, maxReason)), Region: alike(clip(f.Region, maxReason)), Nodes: f.Nodes,
	}
	for _, g := range f.ApiGroups[:min(len(f.ApiGroups), maxGroups)] {
		out.ApiGroups = append(out.ApiGroups, alike(clip(g, maxName)))
	}
	for _, k := range slices.Sorted(maps.Keys(f.Capacity)) {
		if v := f.Capacity[k]; len(k) <= maxName && len(v) <= maxReason && len(out.Capacity) < maxCapacity {
			if out.Capacity == nil {
				out.Capacity = map[string]string{}
			}
			out.Capacity[alike(strings.Clone(k))] = alike(strings.Clone(v))
		}
	}
	return out
}

// cleanHolding answers what a spoke says that it holds, or refuses what could be no holding of this hub's or of another's.
func cleanHolding(h *spokev1.Holding) (holding, error) {
	if !isUID(h.BundleUid) || len(h.Hash) > maxHash || len(h.Epoch) > maxHash || len(h.Digest) > maxDigest {
		return holding{}, errors.New("a holding names no bundle, or has a hash, an epoch or a digest that is none")
	}
	return holding{
		bundle: alike(clip(h.Bundle, maxReason)), uid: alike(h.BundleUid), hash: slices.Clone(h.Hash), revision: h.Revision, digest: alike(h.Digest),
		epoch: slices.Clone(h.Epoch), index: h.Index, hasContent: h.HasContent, removing: h.Removing, held: h.Held,
	}, nil
}

// cleanTime drops a time that no calendar has: it could not be shown, and would spoil the list it is in.
func cleanTime(t *timestamppb.Timestamp) *timestamppb.Timestamp {
	return cleanTimeInto(&timestamppb.Timestamp{}, t)
}

func cleanTimeInto(out, t *timestamppb.Timestamp) *timestamppb.Timestamp {
	if t == nil || t.CheckValid() != nil {
		return nil
	}
	out.Seconds, out.Nanos = t.Seconds, t.Nanos
	return out
}

func factsHash(f *yardarmv1.Facts) []byte { return holdings.MessageHash(f) }

// isUID tells whether a text may be a uid: of the characters that keys of the store are made of, whoever has minted it.
func isUID(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxUID
}

// alike answers one copy of a text that thousands of clusters say alike. It goes when the last of them has.
func alike(s string) string { return unique.Make(s).Value() }

func cut(hash []byte) []byte { return slices.Clone(hash[:min(len(hash), maxHash)]) }

// clip cuts a text at a character, at most n bytes long, and makes it valid UTF-8. It answers a copy.
func clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(strings.ToValidUTF8(s, "?"))
}
