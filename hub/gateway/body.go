package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// readStall is how long a body may send nothing.
	readStall = 30 * time.Second
	// bodyTimeout is how long a body may take as a whole: 64 MiB at 150 KiB/s.
	bodyTimeout = 10 * time.Minute
	// defaultWriteStall is how long a client may take nothing of what is sent to it.
	defaultWriteStall = 30 * time.Second
)

// patience bounds how slowly requests are sent and answers are taken, and how large REST's bodies are, in bytes. An answer may go on for
// ever, and pause as long as it likes; what may not take long is handing over what there is.
type patience struct {
	writeStall     time.Duration
	publish, other int64
}

// grpc wraps the gRPC server, which bounds its messages itself.
func (p patience) grpc(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // of HTTP/2, it ends the body alone
		next.ServeHTTP(&patientWriter{ResponseWriter: w, control: control, stall: p.writeStall}, r)
	})
}

// rest wraps everything else.
func (p patience) rest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		answer := &patientWriter{ResponseWriter: w, control: control, stall: p.writeStall}
		if r.Body != nil && r.Body != http.NoBody {
			limit, within := p.other, bodyTimeout
			switch {
			case r.URL.Path == publishPath:
				limit = p.publish
			case strings.HasPrefix(r.URL.Path, webhookPath):
				limit, within = maxWebhook, webhookTime
			}
			r.Body = &patientBody{ReadCloser: http.MaxBytesReader(w, r.Body, limit), control: control, end: time.Now().Add(within)}
		}
		next.ServeHTTP(answer, r)
		// What is still buffered goes out once this returns.
		answer.begin()
	})
}

// patientBody ends the reading of a body that stalls or takes too long.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	end     time.Time
	// tooLarge says that the limit was exceeded: the library turns the error into a text on its way to the error handler.
	tooLarge atomic.Bool
}

func (b *patientBody) Read(p []byte) (int, error) {
	deadline := time.Now().Add(readStall)
	if deadline.After(b.end) {
		deadline = b.end
	}
	_ = b.control.SetReadDeadline(deadline) // on a connection that is gone, Read says so
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		// The connection lives on, with its own timeouts.
		_ = b.control.SetReadDeadline(time.Time{})
		var limit *http.MaxBytesError
		if errors.As(err, &limit) {
			b.tooLarge.Store(true)
		}
	}
	return n, err
}

// patientWriter gives each write its time. In between there is no deadline: HTTP/2 would end an answer that merely pauses.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	// begun says that the status is out. The library sets one again for a stream that fails before its first message.
	begun bool
}

// WriteHeader implements http.ResponseWriter. Only the first status counts.
func (w *patientWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = status >= 200
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *patientWriter) begin() { _ = w.control.SetWriteDeadline(time.Now().Add(w.stall)) }
func (w *patientWriter) end()   { _ = w.control.SetWriteDeadline(time.Time{}) }

func (w *patientWriter) Write(p []byte) (int, error) {
	w.begun = true
	w.begin()
	defer w.end()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *patientWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController looks for.
func (w *patientWriter) FlushError() error {
	w.begin()
	defer w.end()
	return w.control.Flush()
}

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
