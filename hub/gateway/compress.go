package gateway

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// smallest is what is worth compressing, in bytes: less goes into a packet with its headers anyway.
const smallest = 1 << 10

// compressed has answers go out as gzip to whoever takes that, if they are JSON and large, or streams. Ten thousand cells of a page's map are a tenth as many bytes so.
// Nothing is kept from one write to the next: a window for each watch would be the most of what a watch costs.
//
// A resource with an entity tag goes out as it is: the tag is its version, and not that of some bytes.
func compressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !takesGzip(r) {
			next.ServeHTTP(w, r)
			return
		}
		c := &compressor{ResponseWriter: w}
		next.ServeHTTP(c, r)
		c.end() // not where the handler panics: what was cut off must not look whole
	})
}

// takesGzip tells whether a client does. Weights do not count, but for that of 0, which refuses.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if coding == "gzip" {
			return strings.Trim(strings.TrimPrefix(weight, "q="), "0.") != "" || weight == ""
		}
	}
	return false
}

// compressor decides at the first write, or when it is flushed, how an answer goes out: a stream is known by its type, and other answers are written at once.
type compressor struct {
	http.ResponseWriter
	// status is what was said, and has not gone out yet; 0 where nothing was.
	status  int
	decided bool
	// gzip is nil where the answer goes out as it is.
	gzip *gzip.Writer
}

// Unwrap is for http.ResponseController.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *compressor) WriteHeader(status int) {
	if status < http.StatusOK || c.decided {
		c.ResponseWriter.WriteHeader(status)
		return
	}
	if c.status == 0 {
		c.status = status
	}
}

// Write implements http.ResponseWriter.
func (c *compressor) Write(p []byte) (int, error) {
	c.decide(len(p))
	if c.gzip != nil {
		return c.gzip.Write(p)
	}
	return c.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController asks for. Each write of gzip has gone on whole, so that there is nothing else to flush.
func (c *compressor) FlushError() error {
	c.decide(0)
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (c *compressor) Flush() { _ = c.FlushError() }

// decide settles how the answer goes out, of which so many bytes are known, and sends the status.
func (c *compressor) decide(n int) {
	if c.decided {
		return
	}
	c.decided = true
	header := c.Header() // which says no-store: no cache has to know that there are two forms
	kind := header.Get("Content-Type")
	if worth := kind == streamType || n >= smallest && strings.HasPrefix(kind, "application/json"); worth && header.Get("Content-Encoding") == "" && header.Get("ETag") == "" {
		header.Set("Content-Encoding", "gzip")
		header.Del("Content-Length")
		c.gzip, _ = gzip.NewWriterLevel(c.ResponseWriter, gzip.StatelessCompression) // there is this level
	}
	if c.status != 0 {
		c.ResponseWriter.WriteHeader(c.status)
	}
}

// end ends the answer.
func (c *compressor) end() {
	c.decide(0)
	if c.gzip != nil {
		_ = c.gzip.Close() // whoever asked has gone
	}
}
