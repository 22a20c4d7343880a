package cli

import (
	"context"
	"time"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// ListAudit answers what was set, newest first, and what follows the last one when that is asked for; filters are the hub's to apply.
func (f *fleet) ListAudit(_ context.Context, req *hubv1.ListAuditRequest) (*hubv1.ListAuditResponse, error) {
	f.note(req)
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &hubv1.ListAuditResponse{Oldest: 1, Newest: uint64(len(f.audit))}
	var all []*hubv1.AuditEntry
	for i := len(f.audit) - 1; i >= int(req.GetAfter()); i-- {
		all = append(all, f.audit[i])
	}
	resp.Entries, resp.NextPageToken, _ = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

// GetHistory answers one history of a cluster, and one of a bundle.
func (f *fleet) GetHistory(_ context.Context, req *hubv1.GetHistoryRequest) (*hubv1.History, error) {
	f.note(req)
	if req.GetCluster() == "" {
		return &hubv1.History{Transitions: []*hubv1.Transition{
			{Time: ago(time.Minute), DesiredRevision: 4, Phase: "RolledBack", Stage: "canary", Reason: "1 of 1 clusters failed"},
			{Time: ago(time.Hour), DesiredRevision: 4, Phase: "Progressing", Stage: "canary"}}}, nil
	}
	all := []*hubv1.Transition{
		{Time: ago(time.Minute), Bundle: "web", DesiredRevision: 4, ObservedRevision: 3, Phase: "Failed", Reason: "ApplyFailed"},
		{Time: ago(time.Hour), Phase: "Active", Presence: "Connected"},
		{Time: ago(2 * time.Hour), Bundle: "db", DesiredRevision: 1},
	}
	if req.GetAt() != nil {
		return &hubv1.History{Standing: all, KeptSince: ago(48 * time.Hour)}, nil
	}
	return &hubv1.History{Transitions: all, KeptSince: ago(48 * time.Hour), Lost: 2, More: 7}, nil
}

func auditEntries() []*hubv1.AuditEntry {
	changed := func(kind, name, outcome string) *hubv1.AuditChange {
		return &hubv1.AuditChange{Kind: kind, Name: name, Outcome: outcome}
	}
	return []*hubv1.AuditEntry{
		{Sequence: 1, Time: ago(2 * time.Hour), Actor: "hub", Changes: []*hubv1.AuditChange{changed("Secret", "ca", "created")}},
		{Sequence: 2, Time: ago(time.Hour), Actor: "token/web-ci", Address: "192.0.2.1", RequestId: "r2", Action: "PublishRevision", ResourceVersion: "7", MoreChanges: 2,
			Changes: []*hubv1.AuditChange{changed("Bundle", "web", "configured"), changed("Revision", "web-4", "created"), changed("Artifact", "", "created"), changed("Rollout", "web", "configured")}},
		{Sequence: 3, Time: ago(time.Minute), Actor: "user/ada@example.com", Address: "2001:db8::1", RequestId: "r3", Action: "DeleteRole",
			Changes: []*hubv1.AuditChange{changed("Role", "\x1b[31mred", "deleted")}},
	}
}

// deniedEntry counts denied calls: of more callers than a line names.
func deniedEntry() *hubv1.AuditEntry {
	return &hubv1.AuditEntry{Sequence: 4, Time: ago(30 * time.Second), Actor: "hub", MoreDenied: 4, Denials: []*hubv1.AuditDenial{
		{Actor: "token/web-ci", Address: "192.0.2.1", Action: "DeleteBundle", Reason: "PERMISSION_DENIED", Calls: 9980, First: ago(2 * time.Minute), Last: ago(time.Minute), RequestId: "r9"},
		{Address: "198.51.100.7", Action: "ListClusters", Reason: "UNAUTHENTICATED", Calls: 12},
		{Address: "198.51.100.7", Action: "Watch", Reason: "UNAUTHENTICATED", Calls: 3}, {Actor: "token/x", Action: "Apply", Reason: "ESCALATION", Calls: 2}}}
}
