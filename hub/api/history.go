package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxTransitions is the most that a caller may ask for: some 1 MB.
const maxTransitions = 10_000

// GetHistory implements FleetService.
func (s *Server) GetHistory(ctx context.Context, req *hubv1.GetHistoryRequest) (*hubv1.History, error) {
	if req.GetCluster() == "" && req.GetBundle() == "" {
		return nil, invalid("cluster", "is empty, as is bundle; name one of them, or both")
	}
	if req.GetLimit() > maxTransitions {
		return nil, invalid("limit", fmt.Sprintf("is %d; at most %d are answered", req.GetLimit(), maxTransitions))
	}
	v := s.view(ctx)
	subject, sees, err := v.historyOf(req)
	if err != nil {
		return nil, err
	}
	h, err := s.store.History(subject)
	if err != nil {
		return nil, err
	}
	out := &hubv1.History{KeptSince: stamp(h.Since), Lost: h.Lost}
	if req.GetAt() != nil {
		standing, ok := h.Standing(req.GetAt().AsTime())
		if !ok {
			return nil, refuse(codes.OutOfRange, reasonNotKept, nil, "the history is known since "+h.Since.UTC().Format(time.RFC3339)+"; what was before is not kept (--keep-history of the hub)")
		}
		for _, t := range standing {
			if sees(t) {
				out.Standing = append(out.Standing, transitionView(t))
			}
		}
		return out, nil
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultPage
	}
	for _, t := range slices.Backward(h.Transitions) {
		switch {
		case !sees(t) || !within(t.Time.AsTime(), req.GetSince(), req.GetUntil()):
		case len(out.Transitions) == limit:
			out.More++
		default:
			out.Transitions = append(out.Transitions, transitionView(t))
		}
	}
	return out, nil
}

// historyOf answers whose history is asked for, and what of it the caller may see.
func (v view) historyOf(req *hubv1.GetHistoryRequest) (subject string, sees func(*storev1.Transition) bool, err error) {
	if req.GetCluster() == "" {
		b := v.BundleByName(req.GetBundle())
		if b == nil {
			return "", nil, bundleNotFound(req.GetBundle())
		}
		return b.Metadata.Uid, func(*storev1.Transition) bool { return true }, nil
	}
	c := v.ClusterByName(req.GetCluster())
	if c == nil {
		return "", nil, clusterNotFound(req.GetCluster())
	}
	groups := v.GroupsOf(c.Metadata.Uid)
	return c.Metadata.Uid, func(t *storev1.Transition) bool {
		if t.BundleUid == "" {
			return req.GetBundle() == "" && v.seesCluster(c)
		}
		return (req.GetBundle() == "" || t.Bundle == req.GetBundle()) && (v.all || v.mayPair(yardarmv1.VerbGet, groups, t.Bundle, t.BundleUid))
	}, nil
}

func transitionView(t *storev1.Transition) *hubv1.Transition {
	out := &hubv1.Transition{
		Time: t.Time, Bundle: t.Bundle, DesiredRevision: t.Desired, ObservedRevision: t.Revision, Phase: t.Phase, Reason: t.Reason, Presence: t.Presence, Stage: t.Stage,
	}
	if t.BundleUid == "" && t.Desired > 0 { // a rollout's
		out.Phase = rollout.Phase(t.RolloutPhase).String()
	}
	return out
}
