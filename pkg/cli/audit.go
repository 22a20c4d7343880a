package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// auditEvery is how often a follower asks for what is new: soon enough for who looks on, and a hub answers it from its newest entry alone.
	auditEvery = 2 * time.Second
	// maxAuditChanges is how many changes of one entry a line names.
	maxAuditChanges = 3
)

// auditFlags say which entries are asked for.
type auditFlags struct {
	actor, action, address, request, filter string
	since, until                            string
	limit                                   int
	denied, follow                          bool
	output                                  string
}

func (a *app) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit [TYPE/NAME]",
		Short: "Show who has changed what",
		Long: `Show who has changed what, newest first: each change of what clusters are to run and of who may do what, with
who made it, from where, by which method and request. It is committed with the change, so there is no change
without it. It holds no content: digests before and after, in -o json, tell versions apart.

Calls that were denied are counted by caller, method and reason, and written down every 1 to 15 minutes: whoever
is denied cannot fill the log.

The hub checks each entry's seal as it reads. Whether the whole log is what it wrote, 'yardarm-hub audit verify'
says of a backup, and 'yardarm-hub audit export' prints it.

It takes a role that allows to get audit, for all bundles and clusters; admin does.`,
		Example: `  # Who has changed this bundle?
  yardarm audit bundle/web

  # What has this pipeline done in the last day?
  yardarm audit --actor token/web-ci --since 24h

  # Who has tried what they may not?
  yardarm audit --denied --since 24h

  # Who has been given what, in March?
  yardarm audit --filter 'kind in (RoleBinding,Role,Token)' --since 2026-03-01 --until 2026-04-01

  # What was the request that an error named?
  yardarm audit --request 1f0c22be6a9d4e21 -o json`,
		Args:              arguments(0, 2, "nothing, TYPE or TYPE/NAME"),
		ValidArgsFunction: a.completeArgs(resource.Bundle, resource.Cluster),
		RunE: func(cmd *cobra.Command, args []string) error {
			req, err := a.auditRequest(args, f)
			if err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			if f.follow {
				return a.followAudit(cmd.Context(), hub, req, f)
			}
			return a.audit(cmd.Context(), hub, req, f)
		},
	}
	cmd.Flags().StringVar(&f.actor, "actor", "", "only what they did, as in token/web-ci, user/ada@example.com or hub; * stands for any text")
	cmd.Flags().StringVar(&f.action, "action", "", "only this method, as in PublishRevision or *Rollout")
	cmd.Flags().StringVar(&f.address, "address", "", "only calls from this address")
	cmd.Flags().StringVar(&f.request, "request", "", "only the request with this id, which errors and the hub's log name")
	cmd.Flags().BoolVar(&f.denied, "denied", false, "only what counts denied calls")
	cmd.Flags().StringVar(&f.filter, "filter", "", "only those that match, by actor, action, kind, name, address and request, as in kind!=Identity,name=shop-*")
	cmd.Flags().StringVar(&f.since, "since", "", "only from then on: how long ago, as in 24h or 7d, or a time, as in 2026-03-01 or 2026-03-01T12:00:00Z")
	cmd.Flags().StringVar(&f.until, "until", "", "only from before then")
	cmd.Flags().IntVar(&f.limit, "limit", 100, "show at most this many, the newest")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "show them oldest first, and go on with every new one")
	formatFlag(cmd, &f.output, formatTable, formatJSON)
	return cmd
}

func (a *app) auditRequest(args []string, f auditFlags) (*hubv1.ListAuditRequest, error) {
	if f.limit <= 0 {
		return nil, usage("--limit is %d; it must be more than 0", f.limit)
	}
	if f.follow && f.until != "" {
		return nil, usage("--follow and --until do not go together")
	}
	req := &hubv1.ListAuditRequest{PageSize: uint32(min(f.limit, client.PageSize))}
	terms := []string{f.filter}
	if f.denied {
		terms = append(terms, "kind=Denial")
	}
	if len(args) > 0 {
		selections, err := resource.ParseArgs(args)
		if err != nil {
			return nil, usage("%s", err)
		}
		if len(selections) > 1 || len(selections[0].Names) > 1 {
			return nil, usage("name one only; --filter takes several, as in 'kind=Bundle,name in (web,db)'")
		}
		terms = append(terms, "kind="+selections[0].Type.Kind)
		for _, name := range selections[0].Names {
			terms = append(terms, "name="+name)
		}
	}
	for _, flag := range []struct{ field, value string }{{"actor", f.actor}, {"action", f.action}, {"address", f.address}, {"request", f.request}} {
		if strings.ContainsAny(flag.value, ", ") {
			return nil, usage("--%s is one; --filter takes several, as in '%s in (a,b)'", flag.field, flag.field)
		}
		if flag.value != "" {
			terms = append(terms, flag.field+"="+flag.value)
		}
	}
	req.Filter = strings.Join(slices.DeleteFunc(terms, func(s string) bool { return s == "" }), ",")
	var err error
	if req.Since, err = a.moment("--since", f.since); err != nil {
		return nil, err
	}
	req.Until, err = a.moment("--until", f.until)
	return req, err
}

// moment reads how long ago something was, or when; nil where nothing is said.
func (a *app) moment(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, a.io.Now().Location()); err == nil {
			return timestamppb.New(t), nil
		}
	}
	ago, err := parseLife(text)
	if err != nil {
		return nil, usage("%s is %q; it is how long ago, as in 24h or 7d, or a time, as in 2026-03-01 or 2026-03-01T12:00:00Z", flag, text)
	}
	return timestamppb.New(a.io.Now().Add(-ago)), nil
}

func (a *app) audit(ctx context.Context, hub *client.Client, req *hubv1.ListAuditRequest, f auditFlags) error {
	t := a.newTable("TIME", "ACTOR", "ADDRESS", "ACTION", "CHANGES")
	seen := 0
	for e, err := range hub.Audit(ctx, req) {
		if err != nil {
			return err
		}
		if seen == f.limit {
			a.say("these are the newest %d; --limit shows more", f.limit)
			break
		}
		seen++
		if f.output != formatTable {
			if err := a.printMessage(f.output, e); err != nil {
				return err
			}
			continue
		}
		t.Add(table.Text(a.clock(e.GetTime())), table.Text(e.GetActor()), table.Text(e.GetAddress()), table.Text(e.GetAction()), table.Text(auditChanges(e)))
	}
	if seen == 0 {
		a.say("there is no such entry")
	}
	return a.writeSome(t)
}

// followAudit asks again and again: the log has no watch, since few follow it, and each would be told of every change.
func (a *app) followAudit(ctx context.Context, hub *client.Client, req *hubv1.ListAuditRequest, f auditFlags) error {
	for most := f.limit; ; most = 0 { // none of what is new is left out
		fresh, newest, err := auditSince(ctx, hub, req, most)
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(fresh) {
			if err := a.printAudit(e, f.output); err != nil {
				return err
			}
		}
		req.After = newest
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(auditEvery):
		}
	}
}

// auditSince is what the request asks for, the newest first, at most so many unless that is 0, and the sequence of the newest entry that was looked at.
func auditSince(ctx context.Context, hub *client.Client, req *hubv1.ListAuditRequest, most int) (entries []*hubv1.AuditEntry, newest uint64, err error) {
	first, err := hub.ListAudit(ctx, req)
	if err != nil {
		return nil, 0, err
	}
	entries = first.GetEntries()
	if first.GetNextPageToken() == "" || len(entries) == most {
		return entries, first.GetNewest(), nil
	}
	rest := proto.CloneOf(req)
	rest.PageToken = first.GetNextPageToken()
	for e, err := range hub.Audit(ctx, rest) {
		if err != nil {
			return nil, 0, err
		}
		if entries = append(entries, e); len(entries) == most {
			break
		}
	}
	return entries, first.GetNewest(), nil
}

// The widths of a followed entry's columns, in characters: entries come one at a time.
const (
	followedActor  = 24
	followedAction = 18
)

func (a *app) printAudit(e *hubv1.AuditEntry, output string) error {
	if output != formatTable {
		return a.printMessage(output, e)
	}
	a.print("%s   %-*s   %-*s   %s", a.clock(e.GetTime()), followedActor, table.Clean(e.GetActor()), followedAction, table.Clean(e.GetAction()), table.Clean(auditChanges(e)))
	return nil
}

// auditChanges is as in "bundle/web configured, revision/web-4 created and 2 more".
func auditChanges(e *hubv1.AuditEntry) string {
	if len(e.GetDenials()) > 0 {
		return auditDenials(e)
	}
	var parts []string
	for _, c := range e.GetChanges()[:min(len(e.GetChanges()), maxAuditChanges)] {
		name := strings.ToLower(c.GetKind())
		if c.GetName() != "" {
			name += "/" + c.GetName()
		}
		parts = append(parts, name+" "+c.GetOutcome())
	}
	text := strings.Join(parts, ", ")
	if more := len(e.GetChanges()) - len(parts) + int(e.GetMoreChanges()); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// auditDenials is as in "denied: token/ci 9980 × PublishRevision (PERMISSION_DENIED), 192.0.2.1 3 × ListBundles (UNAUTHENTICATED) and 7 more".
func auditDenials(e *hubv1.AuditEntry) string {
	var parts []string
	more := e.GetMoreDenied()
	for i, d := range e.GetDenials() {
		if i >= maxAuditChanges {
			more += d.GetCalls()
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d × %s (%s)", cmp.Or(d.GetActor(), d.GetAddress(), "somebody"), d.GetCalls(), d.GetAction(), d.GetReason()))
	}
	text := "denied: " + strings.Join(parts, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
