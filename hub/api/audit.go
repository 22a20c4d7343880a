package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/query"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxAuditExamined is how many entries are looked through for one page: some 100 ms. The log has no index, which each change would pay for, and few read it;
// so a filter that finds nothing in a million entries takes fifty calls, each of which costs no more than any other.
const maxAuditExamined = 20_000

// outcomeDeleted is what became of a resource, beside what becomes of those that are applied.
const outcomeDeleted = "deleted"

// ListAudit implements FleetService.
func (s *Server) ListAudit(ctx context.Context, req *hubv1.ListAuditRequest) (*hubv1.ListAuditResponse, error) {
	list := listRequest{size: req.GetPageSize(), token: req.GetPageToken(), filter: req.GetFilter(),
		list: fmt.Sprintf("audit %d %d %d", nanos(req.GetSince()), nanos(req.GetUntil()), req.GetAfter())}
	filter, err := auditFields.Filter(list.filter)
	if err != nil {
		return nil, invalid("filter", err.Error())
	}
	size, after, err := list.parse()
	if err != nil {
		return nil, err
	}
	resp := &hubv1.ListAuditResponse{}
	if resp.Oldest, resp.Newest, err = s.store.AuditRange(); err != nil {
		return nil, err
	}
	before, err := s.auditStart(req, after, resp.Newest+1)
	if err != nil || before <= req.GetAfter()+1 {
		return resp, err
	}
	examined, bytes := 0, 0
	for e, err := range s.store.AuditEntries(before) {
		if err != nil {
			return nil, err
		}
		if e.Sequence <= req.GetAfter() || req.GetSince() != nil && store.AuditOlder(e, req.GetSince().AsTime()) {
			break
		}
		if examined >= maxAuditExamined || len(resp.Entries) >= size || bytes >= maxPageBytes {
			resp.NextPageToken = list.tokenAfter(query.Position{{N: int64(e.Sequence) + 1}})
			break
		}
		examined++
		if !within(e.Time.AsTime(), req.GetSince(), req.GetUntil()) || !filter.Matches(e) {
			continue
		}
		item := auditView(e)
		resp.Entries = append(resp.Entries, item)
		bytes += proto.Size(item)
	}
	return resp, ctx.Err()
}

// auditStart is the sequence before which a page begins, in a log that ends before end.
func (s *Server) auditStart(req *hubv1.ListAuditRequest, after query.Position, end uint64) (uint64, error) {
	switch {
	case after != nil && (len(after) != 1 || after[0].N < 1):
		return 0, errPageToken()
	case after != nil:
		return min(uint64(after[0].N), end), nil
	case req.GetUntil() != nil:
		before, err := s.store.AuditBefore(req.GetUntil().AsTime())
		return min(before, end), err
	}
	return end, nil
}

// within tells whether a time is in a range whose ends may be open; its end is not in it.
func within(t time.Time, since, until *timestamppb.Timestamp) bool {
	return (since == nil || !t.Before(since.AsTime())) && (until == nil || t.Before(until.AsTime()))
}

func auditView(e *storev1.AuditEntry) *hubv1.AuditEntry {
	out := &hubv1.AuditEntry{
		Sequence: e.Sequence, Time: e.Time, Actor: e.Who, Address: e.Address, RequestId: e.RequestId, Action: actionOf(e),
		ResourceVersion: strconv.FormatUint(e.Index, 10), MoreChanges: e.More, MoreDenied: e.MoreDenied,
	}
	for _, d := range e.Denials {
		out.Denials = append(out.Denials, &hubv1.AuditDenial{Actor: d.Who, Address: d.Address, Action: methodName(d.Method), Reason: d.Reason, Calls: d.Calls,
			First: d.First, Last: d.Last, RequestId: d.RequestId})
	}
	for _, c := range e.Changes {
		change := &hubv1.AuditChange{Kind: auditKind(c.Table), Name: c.Name, Outcome: outcomeConfigured, Before: auditDigest(c.Before), After: auditDigest(c.After)}
		switch {
		case len(c.Before) == 0:
			change.Outcome = outcomeCreated
		case len(c.After) == 0:
			change.Outcome = outcomeDeleted
		}
		out.Changes = append(out.Changes, change)
	}
	return out
}

// actionOf is the method that was called.
func actionOf(e *storev1.AuditEntry) string { return methodName(e.Method) }

// methodName is a method's name without its service.
func methodName(full string) string { return full[strings.LastIndexByte(full, '/')+1:] }

// kindDenial is that of entries which count denied calls.
const kindDenial = "Denial"

// audited answers what an entry has of a field: its own, or, where it counts denied calls, that of each.
func audited(own func(*storev1.AuditEntry) string, denied func(*storev1.AuditDenial) string) func(*storev1.AuditEntry) []string {
	return func(e *storev1.AuditEntry) (values []string) {
		for _, d := range e.Denials {
			values = append(values, denied(d))
		}
		if text := own(e); len(e.Denials) == 0 && text != "" {
			values = append(values, text)
		}
		return values
	}
}

func auditDigest(mac []byte) string {
	if len(mac) == 0 {
		return ""
	}
	return "hmac-sha256:" + hex.EncodeToString(mac)
}

// auditKinds are what rows of desired state are called, by table.
var auditKinds = map[string]string{
	store.Clusters.String():          yardarmv1.KindCluster,
	store.Groups.String():            yardarmv1.KindClusterGroup,
	store.Bundles.String():           yardarmv1.KindBundle,
	store.Revisions.String():         yardarmv1.KindRevision,
	store.Rollouts.String():          yardarmv1.KindRollout,
	store.Gates.String():             yardarmv1.KindGate,
	store.Strategies.String():        yardarmv1.KindStrategy,
	store.Notifications.String():     yardarmv1.KindNotification,
	store.SourceCredentials.String(): yardarmv1.KindSourceCredentials,
	store.RolloutMembers.String():    "RolloutMembers",
	store.Turns.String():             "Turn",
	store.Roles.String():             yardarmv1.KindRole,
	store.RoleBindings.String():      yardarmv1.KindRoleBinding,
	store.Credentials.String():       yardarmv1.KindToken,
	store.Artifacts.String():         "Artifact",
	store.Identities.String():        "Identity",
	store.Tokens.String():            "EnrolmentToken",
	store.Secrets.String():           "Secret",
	store.DeletedBundles.String():    "DeletedBundle",
	store.DeletedClusters.String():   "DeletedCluster",
	store.Acceptances.String():       "Acceptance",
	store.Reconciliations.String():   "Reconciliation",
}

// auditKind is the table's own name for one of a newer hub's.
func auditKind(table string) string {
	if kind, ok := auditKinds[table]; ok {
		return kind
	}
	return table
}

func auditedKinds(e *storev1.AuditEntry) []string {
	if len(e.Denials) > 0 {
		return []string{kindDenial}
	}
	kinds := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		kinds[i] = auditKind(c.Table)
	}
	return kinds
}

func auditedNames(e *storev1.AuditEntry) []string {
	names := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		names[i] = c.Name
	}
	return names
}
