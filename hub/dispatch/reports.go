package dispatch

import (
	"bytes"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// note keeps what the spoke has said last of a bundle; nil for nothing any more.
func (s *session) note(bundleUID string, r *yardarmv1.Report) {
	i, known := s.findReported(bundleUID)
	switch {
	case !known && r != nil:
		s.reported = slices.Insert(s.reported, i, r)
	case known && r != nil:
		s.reported[i] = r
	case known:
		s.reported = slices.Delete(s.reported, i, i+1)
	}
}

func (s *session) findReported(bundleUID string) (int, bool) {
	return slices.BinarySearchFunc(s.reported, bundleUID, func(r *yardarmv1.Report, uid string) int { return strings.Compare(r.BundleUid, uid) })
}

// reportOf answers what the spoke has said last of a bundle; nil for nothing.
func (s *session) reportOf(bundleUID string) *yardarmv1.Report {
	if i, known := s.findReported(bundleUID); known {
		return s.reported[i]
	}
	return nil
}

// reports takes an update, once it is whole.
func (s *session) reports(u *spokev1.ReportUpdate) error {
	if s.parts == nil {
		s.parts = make(map[string]*yardarmv1.Report, len(u.Reports))
	}
	for _, r := range u.Reports {
		r, err := cleanReport(r)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if h, _ := s.held.of(r.BundleUid); bytes.Equal(h.hash, r.AssignmentHash) {
			r.AssignmentHash = h.hash // which is kept already
		}
		s.parts[r.BundleUid] = r
	}
	for _, uid := range u.Removed {
		if !isUID(uid) {
			return status.Error(codes.InvalidArgument, "a removed report names no bundle")
		}
		s.parts[uid] = nil
	}
	if len(s.parts) > maxReports {
		return status.Errorf(codes.InvalidArgument, "%d reports in one update; the limit is %d", len(s.parts), maxReports)
	}
	if u.More {
		return nil
	}
	whole := update{reports: s.parts, complete: u.Complete, hash: cut(u.ReportsHash)}
	s.parts = nil
	if u.Complete || s.reported == nil {
		s.reported = make([]*yardarmv1.Report, 0, len(whole.reports))
	}
	for uid, r := range whole.reports {
		if s.note(uid, r); len(s.reported) > maxReports {
			return status.Errorf(codes.InvalidArgument, "reports of more than %d bundles", maxReports)
		}
	}
	for uid, r := range s.refusals {
		switch {
		case r.overtaken(whole.reports[uid]):
			delete(s.refusals, uid)
		case r.report != nil:
			whole.reports[uid], whole.hash = r.report, nil
		}
	}
	s.intake.update(s, whole)
	return nil
}
