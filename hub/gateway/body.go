package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// readStall is how long a body may send nothing.
	readStall = 30 * time.Second
	// bodyTimeout is how long a body may take as a whole: 64 MiB at 150 KiB/s.
	bodyTimeout = 10 * time.Minute
)

// limits bounds what requests send and how slowly, and how slowly answers are taken. Bodies in bytes.
type limits struct {
	publish, other int64
}

func (l limits) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		answer := &patientWriter{ResponseWriter: w, control: control}
		if r.Body != nil && r.Body != http.NoBody {
			limit := l.other
			if r.URL.Path == publishPath {
				limit = l.publish
			}
			body := &patientBody{ReadCloser: http.MaxBytesReader(w, r.Body, limit), control: control, end: time.Now().Add(bodyTimeout)}
			r.Body = body
			answer.body = body
		}
		next.ServeHTTP(answer, r)
		// What is still buffered goes out once this returns.
		answer.extend()
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

// patientWriter gives each write its time, so that an answer may go on for ever but not wait for ever.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	body    *patientBody
}

func (w *patientWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(writeStall))
}

func (w *patientWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *patientWriter) Flush() {
	w.extend()
	_ = w.control.Flush()
}

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
