package reconcile

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/kube/keep"
	"github.com/yardarm-dev/yardarm/spoke/policy"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// pod is a spoke's process with no volume and no hub: all that it knows is in the cluster's Secrets, and in a policy file.
type pod struct {
	*spoke
	held *state.State
}

func (e *env) pod(policyFile string) *pod {
	e.t.Helper()
	client, err := kube.New(kube.Config{REST: e.config, Namespace: e.system})
	if err != nil {
		e.t.Fatal(err)
	}
	held, err := state.Open(e.t.Context(), keep.NewState(client), slog.New(slog.DiscardHandler))
	if err != nil {
		e.t.Fatal(err)
	}
	source, err := policy.Open(policy.Config{File: policyFile, Namespace: e.system, Interval: 10 * time.Millisecond})
	if err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	e.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Error(err)
		}
	})
	return &pod{e.startOn(held, source), held}
}

// deliver has the state take what a hub's delta says, as the session does.
func (p *pod) deliver(index uint64, a assignment) {
	p.t.Helper()
	artifact := p.set(a.objects...).Canonical()
	digest := manifest.DigestOf(artifact).String()
	spec := &yardarmv1.AssignmentSpec{
		Cluster: "c1", Bundle: a.bundle, BundleUid: a.bundle, Revision: a.revision, Digest: digest, Size: uint64(len(artifact)),
		Delivery: &yardarmv1.DeliveryPolicy{Namespace: p.ns},
	}
	spec.Hash = holdings.AssignmentHash(spec)
	out, err := p.held.ApplyDelta(p.t.Context(), &spokev1.Delta{
		Cursor:   &spokev1.Cursor{Epoch: bytes.Repeat([]byte{1}, 16), Index: index},
		Changes:  []*spokev1.Change{{Change: &spokev1.Change_Assign{Assign: spec}}},
		Contents: []*spokev1.Content{{Digest: digest, Size: uint64(len(artifact)), Data: manifest.Compress(artifact)}},
	})
	if err != nil || len(out.Nacks) > 0 {
		p.t.Fatalf("%v, %v", err, out.Nacks)
	}
}

// With the hub gone, drift is repaired, what was received is delivered, and the policy holds: in one process, in the next, and
// when the pod comes up elsewhere with no volume.
func TestAutonomy(t *testing.T) {
	e := newEnv(t)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		if err := os.WriteFile(file+".next", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".next", file); err != nil {
			t.Fatal(err)
		}
	}
	write("kinds: {deny: [core/Secret]}")
	denied := func(p *pod) {
		t.Helper()
		e.until("the secret is denied", func() bool {
			r := p.report("web")
			return r != nil && r.Phase == yardarmv1.PhaseFailed && r.Reason == yardarmv1.ReasonPolicyDenied && strings.Contains(r.Message, "kinds.deny[0]: core/Secret")
		}, func() string { return p.report("web").String() })
	}

	first := e.pod(file)
	first.deliver(1, assignment{bundle: "web", revision: 1, objects: append(several(2, "one"), secret("s", "one"))})
	denied(first)
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })

	// It goes down. What it has received last was not begun.
	first.stop()
	first.deliver(2, assignment{bundle: "web", revision: 2, objects: append(several(3, "two"), secret("s", "two"))})
	e.edit("m1", `{"data":{"key":"edited"}}`)
	second := e.pod(file)
	e.until("the second revision is applied", func() bool { return value(e.get("m2")) == "two" && value(e.get("m1")) == "two" })
	denied(second)
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is repaired", func() bool { return value(e.get("m1")) == "two" })

	// A freeze is heeded without a hub as well, and by the next process too.
	write("freeze: {reason: stocktaking}")
	frozen := func(p *pod) {
		t.Helper()
		e.until("it is frozen", func() bool { r := p.report("web"); return r != nil && r.Reason == yardarmv1.ReasonFrozen })
	}
	frozen(second)
	e.edit("m1", `{"data":{"key":"edited"}}`)
	second.stop()
	third := e.pod(file)
	frozen(third)
	if got := value(e.get("m1")); got != "edited" {
		t.Errorf("m1 is %s", got)
	}
	write("kinds: {deny: [core/Secret]}")
	e.until("m1 is repaired", func() bool { return value(e.get("m1")) == "two" })
	denied(third)
	if e.secretValue("s") != "" {
		t.Error("the secret is there")
	}
}
