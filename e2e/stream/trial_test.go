package stream

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// proposal is an assignment of what the hub has published nowhere, with its content as it travels.
func proposal(cluster string, content []byte) (*yardarmv1.AssignmentSpec, []byte) {
	a := &yardarmv1.AssignmentSpec{Cluster: cluster, Bundle: "web", BundleUid: uid("web"), Revision: 2, Digest: manifest.DigestOf(content).String(), Size: uint64(len(content))}
	a.Hash = holdings.AssignmentHash(a)
	return a, manifest.Compress(content)
}

// try asks for at most so long.
func (h *hub) try(limit time.Duration, cluster string, a *yardarmv1.AssignmentSpec, encoded []byte) *yardarmv1.TrialResult {
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	return h.dispatch.Try(ctx, uid(cluster), a, encoded)
}

// A spoke tries what nobody has published, and gets its content for that alone: neither it nor another cluster can fetch it otherwise. Neither side keeps
// anything of it.
func TestTrial(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(5_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	other := enrol(t, h, "edge-2", prod)
	a, encoded := proposal("edge-1", text(300_000, "two"))
	fetched := func(id *identity) codes.Code {
		stream, err := spokev1.NewSpokeServiceClient(id.conn(t, h.address)).Fetch(t.Context(), &spokev1.FetchRequest{Digest: a.Digest})
		if err == nil {
			_, err = stream.Recv()
		}
		return status.Code(err)
	}
	s.try = func(_ context.Context, got *yardarmv1.AssignmentSpec, content []byte) *yardarmv1.TrialResult {
		if !proto.Equal(got, a) || !bytes.Equal(content, text(300_000, "two")) {
			t.Errorf("tried %v with %d bytes", got, len(content))
		}
		if mine, others := fetched(s.id), fetched(other); mine != codes.OK || others != codes.NotFound {
			t.Errorf("meanwhile, the cluster fetches it with %v, and another with %v", mine, others)
		}
		return &yardarmv1.TrialResult{Changed: 3}
	}
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	index, held := h.store.Read().Index(), s.state.HoldingsHash()

	if r := h.try(patience, "edge-1", a, encoded); r.Changed != 3 || r.Reason != "" {
		t.Errorf("result: %v", r)
	}
	if got := fetched(s.id); got != codes.NotFound {
		t.Errorf("afterwards, it is fetched with %v", got)
	}
	if _, err := s.state.Content(t.Context(), a.Digest); err == nil || !bytes.Equal(held, s.state.HoldingsHash()) {
		t.Error("the spoke has kept what it tried")
	}
	if now := h.store.Read().Index(); now != index {
		t.Errorf("the hub has written: %d after %d", now, index)
	}
	if r := h.try(patience, "edge-2", a, encoded); r.Reason != yardarmv1.TrialNotConnected {
		t.Errorf("in a cluster that is away: %v", r)
	}
}

// What a spoke gets to try is what was meant, or is not tried.
func TestTrialOfWrongContent(t *testing.T) {
	h := newHub(t, nil)
	s := newSpoke(t, h, "edge-1", prod)
	s.try = func(context.Context, *yardarmv1.AssignmentSpec, []byte) *yardarmv1.TrialResult {
		t.Error("it was tried")
		return nil
	}
	s.start()
	s.awaitConnected(h)
	edited := func(edit func(*yardarmv1.AssignmentSpec)) *yardarmv1.AssignmentSpec {
		a, _ := proposal("edge-1", text(5_000, "one"))
		edit(a)
		a.Hash = holdings.AssignmentHash(a)
		return a
	}
	_, encoded := proposal("edge-1", text(5_000, "one"))
	bomb := manifest.Compress(make([]byte, 8<<20))
	for what, tc := range map[string]struct {
		a       *yardarmv1.AssignmentSpec
		encoded []byte
		reason  string
	}{
		"another content":         {edited(func(a *yardarmv1.AssignmentSpec) { a.Digest = manifest.DigestOf([]byte("x")).String() }), encoded, yardarmv1.TrialNotFetched},
		"another size":            {edited(func(a *yardarmv1.AssignmentSpec) { a.Size-- }), encoded, yardarmv1.TrialNotFetched},
		"more than is said":       {edited(func(*yardarmv1.AssignmentSpec) {}), bomb, yardarmv1.TrialNotFetched},
		"more than a spoke takes": {edited(func(a *yardarmv1.AssignmentSpec) { a.Size = 1 << 40 }), encoded, yardarmv1.TrialSpokeTooOld},
		"no bundle":               {edited(func(a *yardarmv1.AssignmentSpec) { a.BundleUid = "../x" }), encoded, yardarmv1.TrialSpokeTooOld},
		"another hash": {func() *yardarmv1.AssignmentSpec {
			a, _ := proposal("edge-1", text(5_000, "one"))
			a.Revision = 3
			return a
		}(), encoded, yardarmv1.TrialSpokeTooOld},
	} {
		if r := h.try(patience, "edge-1", tc.a, tc.encoded); r.Reason != tc.reason || r.Message == "" {
			t.Errorf("%s: %v", what, r)
		}
	}
}

// A spoke tries one after the other, and has few wait.
func TestTrialsWaitInLine(t *testing.T) {
	h := newHub(t, nil)
	s := newSpoke(t, h, "edge-1", prod)
	begun, release := make(chan struct{}, 10), make(chan struct{})
	s.try = func(ctx context.Context, _ *yardarmv1.AssignmentSpec, _ []byte) *yardarmv1.TrialResult {
		begun <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return &yardarmv1.TrialResult{Created: 1}
	}
	s.start()
	s.awaitConnected(h)
	a, encoded := proposal("edge-1", text(5_000, "one"))
	results := make(chan *yardarmv1.TrialResult, 10)
	ask := func() { results <- h.try(patience, "edge-1", a, encoded) }
	go ask()
	<-begun
	for range 6 {
		go ask()
	}
	// One is tried and four wait; the other two are told to come again.
	for range 2 {
		if r := <-results; r.Reason != yardarmv1.TrialBusy {
			t.Errorf("beyond the line: %v", r)
		}
	}
	close(release)
	for range 5 {
		if r := <-results; r.Created != 1 {
			t.Errorf("in line: %v", r)
		}
	}
}

// Spokes that cannot, do not, or lie: none is waited for longer than was asked for, and none fills the hub.
func TestTrialOfBadSpokes(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.StaleAfter = patience })
	id := enrol(t, h, "edge-1", prod)
	stranger := enrol(t, h, "edge-2", prod)
	a, encoded := proposal("edge-1", text(5_000, "one"))
	results := make(chan *yardarmv1.TrialResult, 1)
	ask := func(limit time.Duration) { results <- h.try(limit, "edge-1", a, encoded) }
	greet := func(edit func(*spokev1.Hello)) *raw {
		r := connect(t, h, id)
		r.greet(id, edit)
		r.list()
		return r
	}
	tries := func(hello *spokev1.Hello) { hello.Trials, hello.Customization = true, 1 }
	answer := func(by *raw, to string, result *yardarmv1.TrialResult) {
		by.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Trial{Trial: &spokev1.TrialAnswer{Id: to, Result: result}}})
	}
	asked := func(r *raw) *spokev1.Trial {
		t.Helper()
		for {
			if m := r.next().GetTrial(); m != nil {
				return m
			}
		}
	}

	// An old one is never asked.
	old := greet(nil)
	go ask(patience)
	if r := <-results; r.Reason != yardarmv1.TrialSpokeTooOld {
		t.Errorf("an old one: %v", r)
	}
	for n := len(old.messages); n > 0; n-- {
		if m := <-old.messages; m.GetTrial() != nil {
			t.Error("an old one was asked")
		}
	}
	newer := proto.CloneOf(a)
	newer.Customization = &yardarmv1.Customization{Language: 99}
	silent := greet(tries)
	if r := h.try(patience, "edge-1", newer, encoded); r.Reason != yardarmv1.TrialSpokeTooOld || !strings.Contains(r.Message, "99") {
		t.Errorf("of a newer language: %v", r)
	}

	// One that says nothing is waited for as long as was asked for, and knows how long that is.
	began := time.Now()
	go ask(2 * time.Second)
	if m := asked(silent); m.Within.AsDuration() <= 0 || m.Within.AsDuration() > time.Second {
		t.Errorf("it is given %s", m.Within.AsDuration())
	}
	if r := <-results; r.Reason != yardarmv1.TrialNotAnswered || time.Since(began) < time.Second {
		t.Errorf("a silent one: %v after %s", r, time.Since(began))
	}

	// Only the one that was asked answers, once, and is cut to what there is room for.
	liar := connect(t, h, stranger)
	liar.greet(stranger, tries)
	go ask(patience)
	m := asked(silent)
	answer(liar, m.Id, &yardarmv1.TrialResult{Created: 7})
	answer(silent, "another", &yardarmv1.TrialResult{Created: 8})
	big := &yardarmv1.TrialResult{Created: 1, Message: strings.Repeat("m", 1<<20)}
	for i := range 1000 {
		o := &yardarmv1.TriedObject{Object: fmt.Sprint("ConfigMap ", i, strings.Repeat("n", 1000)), Action: yardarmv1.TrialCreated}
		for range 30 {
			o.Fields = append(o.Fields, &yardarmv1.TriedField{Path: strings.Repeat("p", 50)})
		}
		big.Objects = append(big.Objects, o)
	}
	answer(silent, m.Id, big)
	answer(silent, m.Id, &yardarmv1.TrialResult{Created: 9})
	r := <-results
	if r.Created != 1 || len(r.Message) > 1024 || len(r.Objects) == 0 || len(r.Objects) > 100 || int(r.MoreObjects)+len(r.Objects) != 1000 || len(r.Objects[0].Fields) > 20 || proto.Size(r) > 140<<10 {
		t.Errorf("created %d, %d objects and %d more, %d bytes", r.Created, len(r.Objects), r.MoreObjects, proto.Size(r))
	}

	// One that goes is not waited for.
	go ask(patience)
	asked(silent)
	silent.cancel()
	if r := <-results; r.Reason != yardarmv1.TrialNotConnected {
		t.Errorf("one that has gone: %v", r)
	}
}

// One whose stream is open, and over which nothing comes, is as good as away.
func TestTrialOfASilentCluster(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", prod)
	connect(t, h, id).greet(id, func(hello *spokev1.Hello) { hello.Trials = true })
	a, encoded := proposal("edge-1", text(5_000, "one"))
	eventually(t, "it counts as away", func() bool {
		return h.try(50*time.Millisecond, "edge-1", a, encoded).Reason == yardarmv1.TrialNotConnected
	})
}
