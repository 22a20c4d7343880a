package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func TestAudit(t *testing.T) {
	f := newFleet()
	h := serve(t, f)
	var b strings.Builder
	run := func(commands ...string) {
		for _, command := range commands {
			args := strings.Fields(command)
			b.WriteString(transcript(args, h.run(t, args...)) + "\n")
		}
	}
	run("audit")
	f.audit = append(auditEntries(), deniedEntry())
	run("audit", "audit --limit 3", "audit --denied --limit 1 -o json", "audit --limit 1 -o json", "audit bundle/web --actor token/web-ci --action *Revision --request r2 --address 192.0.2.1 --since 24h --until 2026-01-31T11:30:00Z --filter name!=db",
		"audit roles", "audit --limit 0", "audit --since soon", "audit --actor a,b", "audit bundle/web bundle/db", "audit --follow --until 1h", "audit pods")
	for _, call := range f.calls {
		text, err := protojson.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.ReplaceAll(string(text), " ", "") + "\n")
	}
	golden(t, "audit", b.String())
}

func TestHistory(t *testing.T) {
	h := serve(t, exampleFleet())
	var b strings.Builder
	for _, command := range []string{"history cluster/eu-1", "history cluster/eu-1 --at 24h", "history bundle/web", "history cluster/eu-1 bundle/web --since 7d --limit 3 -o json",
		"history", "history cluster/eu-1 --at 1h --since 2h", "history cluster/eu-1 --at then"} {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	golden(t, "past", b.String())
}

// TestAuditFollow shows the newest, and then each new one once.
func TestAuditFollow(t *testing.T) {
	f := newFleet()
	f.audit = auditEntries()
	h := serve(t, f)
	r := h.background(t, invocation{args: []string{"audit", "--follow", "--limit", "2"}})
	until(t, "the newest are there", func() bool { return strings.Count(r.out.String(), "\n") == 2 })
	f.mu.Lock()
	f.audit = append(f.audit, &hubv1.AuditEntry{Sequence: 4, Time: ago(0), Actor: "hub", Action: "One"}, &hubv1.AuditEntry{Sequence: 5, Time: ago(0), Actor: "hub", Action: "Two"},
		&hubv1.AuditEntry{Sequence: 6, Time: ago(0), Actor: "hub", Action: "Three"})
	f.mu.Unlock()
	until(t, "the new ones are there", func() bool { return strings.Contains(r.out.String(), "Three") })
	r.interrupt()
	if code := r.wait(t); code != ExitInterrupted {
		t.Errorf("exit %d: %s", code, r.err.String())
	}
	var actions []string
	for line := range strings.Lines(r.out.String()) {
		for _, action := range []string{"PublishRevision", "DeleteRole", "One", "Two", "Three"} {
			if strings.Contains(line, action) {
				actions = append(actions, action)
			}
		}
	}
	if got := strings.Join(actions, " "); got != "PublishRevision DeleteRole One Two Three" || strings.Count(r.out.String(), "\n") != 5 {
		t.Errorf("written: %q", r.out.String())
	}
}
