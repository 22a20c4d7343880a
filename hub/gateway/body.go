package gateway

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/hub/follow"
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
		ctx, answer := follow.With(r.Context())
		out := &gatherer{patientWriter: newPatientWriter(w, control, p.writeStall), answer: answer}
		next.ServeHTTP(out, r.WithContext(ctx))
		out.end()
	})
}

// rest wraps everything else.
func (p patience) rest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		answer := newPatientWriter(w, control, p.writeStall)
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
		_ = control.SetWriteDeadline(time.Now().Add(p.writeStall))
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
