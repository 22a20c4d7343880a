package api_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
)

// rawRequest sends what no client would: the bytes of a request over TLS, as they are. It answers the response, whose body has been read up to
// 1 MiB, since watches have no end.
func rawRequest(t *testing.T, h *apitest.Hub, verb, target, header string, body []byte) (*http.Response, []byte) {
	t.Helper()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: tlsOf(h)}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(h.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nConnection: close\r\nContent-Length: %d\r\n", verb, target, h.Token, len(body))
	if header != "" {
		fmt.Fprintf(&b, "%s\r\n", header)
	}
	b.WriteString("\r\n")
	b.Write(body)
	go func() { _, _ = conn.Write(b.Bytes()) }() // the hub may answer before all is sent
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: verb})
	if err != nil {
		t.Fatalf("%q %q %q: no answer: %v", verb, target, header, err)
	}
	defer resp.Body.Close()
	if strings.Contains(resp.Header.Get("Content-Type"), "ndjson") {
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // what is missing shows
	return resp, text
}

func tlsOf(h *apitest.Hub) *tls.Config {
	config := h.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	return config
}

// notFailures are the statuses above 500 that are not the hub's fault: Go's server refuses a transfer encoding, or a version, that it does not know, and
// a caller may ask for less time than an answer takes (Grpc-Timeout).
var notFailures = []int{http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusGatewayTimeout}

// goodAnswer fails for what is the hub's fault, and for a refusal that programs cannot read.
func goodAnswer(t *testing.T, resp *http.Response, body []byte) {
	t.Helper()
	switch {
	case resp.StatusCode >= 500 && !slices.Contains(notFailures, resp.StatusCode):
		t.Errorf("status %d: %s", resp.StatusCode, body)
	case resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == "application/json":
		type refusal struct {
			Code    int
			Message string
		}
		var answer struct {
			refusal
			Error refusal // of a stream
		}
		err := json.Unmarshal(body, &answer)
		if said := cmp.Or(answer.refusal, answer.Error); resp.Request.Method != http.MethodHead && (err != nil || said.Code == 0 || said.Message == "") {
			t.Errorf("status %d with %q: %v", resp.StatusCode, body, err)
		}
		if resp.Header.Get("X-Request-Id") == "" {
			t.Errorf("status %d has no request id: %s", resp.StatusCode, body)
		}
	}
}

// nasty are bodies that parsers are known to fall over.
var nasty = []string{
	"", "null", "[]", `"text"`, "1e400", `{"`, "\x00", "\xff\xfe", `{"name": "\xff"}`, `{"name": "\ud800"}`, `{"name": {"name": {}}}`, `{"nobody": 1}`, `{"name": 1e308}`,
	`{"name": "a", "name": "b"}`, `{"name": "` + strings.Repeat("x", 100_000) + `"}`, `{"ttl": "99999999999999999999s"}`, `{"revision": -1}`, `{"revision": 99999999999999999999}`,
	`{"labels": {"a": null}}`, `{"resources": [null, {}, {"bundle": null}, {"cluster": {"metadata": {}}}]}`, `{"dryRun": "yes"}`, `{"publication": {}} {"file": {}} {`,
	strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 20_000), `{"resources": [` + strings.Repeat(`{"bundle":`, 5_000),
}

// tricks are targets that mean another path to somebody.
var tricks = []string{
	"/v1/clusters/..%2f..%2fhub", "/v1/../v1/hub", "/v1//hub", "/v1/clusters/%00", "/v1/clusters/%ff", "/v1/clusters/%", "/v1/clusters/%zz", "/v1/clusters/a%2fb", "/v1/clusters/a/b/c",
	"/v1/clusters/" + strings.Repeat("x", 30_000), "/v1/clusters?" + strings.Repeat("filter=a&", 5_000), "/v1/clusters?filter=%ff", "/v1/clusters?filter=((((((", "/v1/clusters?page_size=-1",
	"/v1/clusters?page_size=4294967296", "/v1/clusters?page_token=" + strings.Repeat("%ff", 100), "/v1/clusters?filter.a.b.c=1", "/v1/clusters?order_by=name%20desc%2c%2c", "/v1/clusters?a=1;b=2",
	"/v1/bundles/x/revisions/99999999999999999999", "/v1/artifacts/sha256:" + strings.Repeat("z", 64), "/v1/watch/%2e%2e", "/v1/facets/Cluster?facets=" + strings.Repeat("labels.a&facets=", 1000),
	"http://elsewhere/v1/hub", "//elsewhere/v1/hub", "*", "/", "/assets/../../etc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/openapi.json/../v1/hub", "/session", "/session/link", "/v1:hub", "/v1/hub#x", "/v1/clusters?fields=clusters.metadata.labels.a.b,clusters", "/v1/clusters?fields=.", "/v1/clusters?fields=%ff",
}

// headers are lines that say too much.
var headers = []string{
	"If-Match: *", "If-Match: W/\"1\"", "Idempotency-Key: \"", "X-Request-Id: a\tb", "X-Long: " + strings.Repeat("x", 60_000), "X-Too-Long: " + strings.Repeat("x", 200_000),
	"X-HTTP-Method-Override: DELETE", "Grpc-Metadata-Authorization: Bearer x", "Grpc-Timeout: 1n", "Content-Type: application/grpc", "Transfer-Encoding: gzip", "X-Forwarded-For: \xff",
	"Cookie: " + strings.Repeat("a=b; ", 10_000), "Accept-Encoding: zstd", "Expect: 100-continue", "Expect: nothing", "Upgrade: h2c",
}

func FuzzREST(f *testing.F) {
	h := apitest.Start(f)
	for _, target := range tricks {
		f.Add("GET", target, "", []byte(nil))
	}
	for _, header := range headers {
		f.Add("POST", "/v1/apply", header, []byte("{}"))
	}
	for _, verb := range []string{"HEAD", "PUT", "CONNECT", "OPTIONS", "TRACE", "PATCH", "get"} {
		f.Add(verb, "/v1/hub", "", []byte(nil))
	}
	for _, body := range nasty {
		f.Add("POST", "/v1/apply", "", []byte(body))
		f.Add("POST", "/v1/publish", "", []byte(body))
	}
	f.Fuzz(func(t *testing.T, verb, target, header string, body []byte) {
		if strings.ContainsAny(verb+target, " \r\n") || strings.ContainsAny(header, "\r\n") || verb == "" || target == "" {
			t.Skip() // other lines of a request than these are those of Go's own parser
		}
		if name, _, _ := strings.Cut(header, ":"); slices.Contains([]string{"content-length", "transfer-encoding", "authorization", "host"}, strings.ToLower(strings.TrimSpace(name))) && header != "Transfer-Encoding: gzip" {
			t.Skip() // says that more is to come, or that somebody else calls
		}
		resp, answer := rawRequest(t, h, verb, target, header, body)
		goodAnswer(t, resp, answer)
	})
}

// TestEveryMethodTakesNastyBodies sends each body to each method, by its route, so that a new method cannot be forgotten.
func TestEveryMethodTakesNastyBodies(t *testing.T) {
	h := apitest.Start(t)
	routes := restRoutes(t)
	for i := range fleetMethods().Len() {
		name := string(fleetMethods().Get(i).Name())
		r, ok := routes[name]
		if !ok {
			t.Errorf("%s has no route", name)
		}
		for _, body := range nasty {
			req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), r.verb, h.URL+r.path, strings.NewReader(body)))
			req.Header.Set("Authorization", "Bearer "+h.Token)
			resp := must[*http.Response](t)(h.HTTP.Do(req))
			var answer []byte
			if !strings.Contains(resp.Header.Get("Content-Type"), "ndjson") {
				answer = must[[]byte](t)(io.ReadAll(io.LimitReader(resp.Body, 1<<20)))
			}
			resp.Body.Close()
			goodAnswer(t, resp, answer)
			if t.Failed() {
				t.Fatalf("%s %.100q", name, body)
			}
		}
	}
}

// TestNastyBodiesTakeLittleMemory sends the largest bodies that are taken, several at once, and looks how much is held meanwhile.
func TestNastyBodiesTakeLittleMemory(t *testing.T) {
	const (
		callers = 8
		body    = 4 << 20
		// atMost is what all of them may hold together, in bytes: each its body as it came, as text, and as a message, with what grows by doubling.
		atMost = callers * body * 8
	)
	h := apitest.Start(t)
	runtime.GC()
	before := held()
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(time.Millisecond): // between looks
				most = max(most, held())
			}
		}
	}()
	var group sync.WaitGroup
	for _, text := range []string{strings.Repeat("[", body), strings.Repeat(`{"a":`, body/5), `{"resources": [` + strings.Repeat("{},", body/3) + `{}]}`,
		`{"resources": [{"cluster": {"metadata": {"name": "` + strings.Repeat("x", body-100)} {
		for range callers / 4 {
			group.Go(func() {
				resp, answer := rawRequest(t, h, "POST", "/v1/apply", "", []byte(text))
				goodAnswer(t, resp, answer)
				if resp.StatusCode < 400 {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
	}
	group.Wait()
	close(stop)
	if most := <-peak; most > before+atMost {
		t.Errorf("%d MiB are held, and %d were before", most>>20, before>>20)
	} else {
		t.Logf("%d MiB more at most, of %d allowed", (int64(most)-int64(before))>>20, atMost>>20)
	}
}

// held is how much the heap has of what is in use, and of what has not been collected yet.
func held() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
