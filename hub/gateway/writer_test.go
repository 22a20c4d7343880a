package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yardarm-dev/yardarm/hub/follow"
)

// sink is what an answer is written to. While it takes nothing, a write waits for its deadline to pass.
type sink struct {
	header   http.Header
	writes   []string
	flushed  bytes.Buffer
	full     bool
	deadline chan struct{}
}

func newSink() *sink { return &sink{header: http.Header{}, deadline: make(chan struct{})} }

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(int)     {}

func (s *sink) Write(p []byte) (int, error) {
	if s.full {
		<-s.deadline
		return 0, errors.New("deadline")
	}
	s.writes = append(s.writes, string(p))
	return len(p), nil
}

func (s *sink) Flush() {
	for _, w := range s.writes[len(s.writes)-min(len(s.writes), 1):] {
		s.flushed.WriteString(w)
	}
}

func (s *sink) SetWriteDeadline(t time.Time) error {
	if t.Before(time.Now()) {
		close(s.deadline)
	}
	return nil
}

func writerTo(s *sink, stall time.Duration) *patientWriter {
	return newPatientWriter(s, http.NewResponseController(s), stall)
}

func TestAWriteMayTakeSoLongAndAPauseLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		w := writerTo(s, time.Minute)
		for range 3 {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			w.Flush()
			time.Sleep(time.Hour)
		}
		s.full = true
		began := time.Now()
		if _, err := w.Write([]byte("x")); err == nil || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestMessagesGoOutTogether(t *testing.T) {
	ctx, answer := follow.With(context.Background())
	s := newSink()
	g := &gatherer{patientWriter: writerTo(s, time.Minute), answer: answer}
	// As gRPC does, its head and the message each by itself.
	send := func(message string, more bool) {
		follow.Say(ctx, more)
		for _, part := range []string{"#", message} {
			if _, err := g.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		g.Flush()
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(s.writes, want) {
			t.Fatalf("written %.40q, want %.40q", s.writes, want)
		}
		s.writes = nil
	}
	// The first goes out whatever is said: until then the headers have not.
	send("a", true)
	expect("#a")
	send("b", true)
	send("c", true)
	expect()
	send("d", false)
	expect("#b#c#d")
	// What is too much for one frame does not wait, and stays in order.
	half, large := strings.Repeat("h", gatherSize/2), strings.Repeat("l", gatherSize+1)
	send(half, true)
	expect()
	send(half, true)
	expect("#" + half + "#")
	send(large, true)
	expect(half+"#", large)
	send("e", true)
	expect()
	// The end of an answer follows whatever was said.
	g.end()
	expect("#e")
	g.end()
	expect()
}

// An answer that fails keeps nothing back, and no other one gets what it left.
func TestWhatIsHeldGoesOutOnce(t *testing.T) {
	_, answer := follow.With(context.Background())
	for _, text := range []string{"first", "second"} {
		s := newSink()
		g := &gatherer{patientWriter: writerTo(s, time.Minute), answer: answer}
		_, _ = g.Write([]byte(text))
		g.Flush()
		if got := s.flushed.String(); got != text {
			t.Errorf("%q was flushed, want %q", got, text)
		}
	}
}
