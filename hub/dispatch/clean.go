package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Bounds of what a spoke may say of its cluster, so that one cannot fill the hub's memory.
const (
	maxReports  = 2000 // bundles of one cluster
	maxProblems = 10   // of one report
	maxName     = 512  // bytes of an object's reference
	maxReason   = 64   // bytes
	maxMessage  = 1024 // bytes
	maxGroups   = 1000 // API groups of a cluster
	maxCapacity = 32   // resources of a cluster
)

var reportedPhases = []string{
	yardarmv1.PhasePending, yardarmv1.PhaseProgressing, yardarmv1.PhaseReady, yardarmv1.PhaseDegraded,
	yardarmv1.PhaseFailed, yardarmv1.PhaseHeld, yardarmv1.PhaseRemoving,
}

// clean bounds a report in place. A phase that this hub does not know is refused: it could not be counted.
func clean(r *yardarmv1.Report) error {
	if r.BundleUid == "" || len(r.BundleUid) > maxReason || strings.Contains(r.BundleUid, "/") {
		return errors.New("a report names no bundle")
	}
	i := slices.Index(reportedPhases, r.Phase)
	if i < 0 {
		return fmt.Errorf("a report has the unknown phase %q: upgrade the hub", clip(r.Phase, maxReason))
	}
	r.Phase = reportedPhases[i] // one string for all reports
	r.Bundle, r.Reason, r.Message = clip(r.Bundle, maxReason), clip(r.Reason, maxReason), clip(r.Message, maxMessage)
	r.Digest, r.RenderedDigest = clip(r.Digest, maxName), clip(r.RenderedDigest, maxName)
	r.AssignmentHash = r.AssignmentHash[:min(len(r.AssignmentHash), maxReason)]
	r.Problems = r.Problems[:min(len(r.Problems), maxProblems)]
	for _, p := range r.Problems {
		p.Object, p.Reason, p.Message = clip(p.Object, maxName), clip(p.Reason, maxReason), clip(p.Message, maxMessage)
	}
	return nil
}

func cleanFacts(f *yardarmv1.Facts) {
	f.KubernetesVersion, f.Distribution = clip(f.KubernetesVersion, maxReason), clip(f.Distribution, maxReason)
	f.Provider, f.Region = clip(f.Provider, maxReason), clip(f.Region, maxReason)
	f.ApiGroups = f.ApiGroups[:min(len(f.ApiGroups), maxGroups)]
	for i := range f.ApiGroups {
		f.ApiGroups[i] = clip(f.ApiGroups[i], maxName)
	}
	for k, v := range f.Capacity {
		if len(f.Capacity) > maxCapacity || len(k) > maxName || len(v) > maxReason {
			delete(f.Capacity, k)
		}
	}
}

func factsHash(f *yardarmv1.Facts) []byte { return holdings.MessageHash(f) }

// clip cuts a text at a character, at most n bytes long, and makes it valid UTF-8.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
