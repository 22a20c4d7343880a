package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/yardarm-dev/yardarm/hub/follow"
)

// patientWriter gives each write its time. In between there is no deadline: HTTP/2 would end an answer that merely pauses. It watches the time itself,
// since a deadline that is set beforehand, and taken back, is twice a message to whoever serves the connection.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	// begun says that the status is out. The library sets one again for a stream that fails before its first message.
	begun bool

	mu      sync.Mutex // guards writing: what the timer ends must not have ended
	writing bool
	timer   *time.Timer
}

func newPatientWriter(w http.ResponseWriter, control *http.ResponseController, stall time.Duration) *patientWriter {
	return &patientWriter{ResponseWriter: w, control: control, stall: stall}
}

// WriteHeader implements http.ResponseWriter. Only the first status counts.
func (w *patientWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = status >= 200
		w.ResponseWriter.WriteHeader(status)
	}
}

// in runs a write, which fails if it takes too long.
func (w *patientWriter) in(write func() error) error {
	w.note(true)
	defer w.note(false)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.stall, w.giveUp)
	} else {
		w.timer.Reset(w.stall)
	}
	defer w.timer.Stop()
	return write()
}

func (w *patientWriter) note(writing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = writing
}

// giveUp ends the write that is under way, by a deadline that has passed.
func (w *patientWriter) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing {
		_ = w.control.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (w *patientWriter) Write(p []byte) (n int, err error) {
	w.begun = true
	err = w.in(func() error {
		n, err = w.ResponseWriter.Write(p)
		return err
	})
	return n, err
}

// Flush implements http.Flusher.
func (w *patientWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController looks for.
func (w *patientWriter) FlushError() error { return w.in(w.control.Flush) }

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// gatherSize is how many bytes of messages go out at once, at most: what HTTP/2 takes in one frame.
const gatherSize = 16 << 10

// buffers are of gatherSize. An answer has one only while something waits in it: watches mostly have nothing to say.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, gatherSize); return &b }}

// gatherer writes what gRPC does, the head of a message and the message each by itself, at once, when they are flushed; and later, together with what comes
// then, where more follows. It belongs to its call's goroutine.
type gatherer struct {
	*patientWriter
	answer *follow.Answer
	// held is what is not written yet; nil for nothing.
	held *[]byte
}

func (g *gatherer) Write(p []byte) (int, error) {
	if g.held != nil && len(*g.held)+len(p) > gatherSize {
		if err := g.release(); err != nil {
			return 0, err
		}
	}
	if len(p) > gatherSize {
		return g.patientWriter.Write(p)
	}
	if g.held == nil {
		g.held = buffers.Get().(*[]byte)
	}
	*g.held = append(*g.held, p...)
	return len(p), nil
}

// release writes what is held.
func (g *gatherer) release() error {
	if g.held == nil {
		return nil
	}
	held := g.held
	g.held = nil
	_, err := g.patientWriter.Write(*held)
	*held = (*held)[:0]
	buffers.Put(held)
	return err
}

// Flush implements http.Flusher.
func (g *gatherer) Flush() { _ = g.FlushError() }

// FlushError is what http.ResponseController looks for.
func (g *gatherer) FlushError() error {
	if g.begun && g.answer.More() { // before it, headers would take in what is said at the end
		return nil
	}
	if err := g.release(); err != nil {
		return err
	}
	return g.patientWriter.FlushError()
}

// end writes what is left. The server sends it with the end of the answer.
func (g *gatherer) end() { _ = g.release() } // whoever does not take it has gone
