package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/run"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what a REST call got.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// at walks into the JSON: at("metadata", "name").
func (a answer) at(path ...string) any {
	var v any = a.json
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// request makes one with the hub's token.
func request(t *testing.T, h *apitest.Hub, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.Token)
	return r
}

func do(t *testing.T, c *http.Client, r *http.Request) answer {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(a.body, &a.json)
	return a
}

// call makes a REST call, and fails unless it is answered with the status.
func call(t *testing.T, h *apitest.Hub, method, path, body string, status int) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	a := do(t, h.HTTP, request(t, h, method, path, reader))
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

const groupJSON = `{"clusterGroup": {"metadata": {"name": "prod"}, "spec": {"selector": {"matchLabels": {"env": "prod"}}}}}`

func TestEveryCallOverREST(t *testing.T) {
	h := apitest.Start(t)
	if hub := call(t, h, "GET", "/v1/hub", "", 200); hub.at("caPin") != h.CA.Pin() || hub.header.Get("Content-Type") != "application/json" {
		t.Errorf("hub %s", hub.body)
	}
	applied := call(t, h, "POST", "/v1/apply", `{"resources": [`+groupJSON+`]}`, 200)
	if !strings.Contains(string(applied.body), `"outcome":"created"`) {
		t.Errorf("applied %s", applied.body)
	}
	enrolled := call(t, h, "POST", "/v1/clusters/berlin:enroll", `{"labels": {"env": "prod"}, "ttl": "600s"}`, 200)
	if enrolled.at("token") == nil || enrolled.at("cluster", "status", "phase") != "Enrolling" {
		t.Errorf("enrolled %s", enrolled.body)
	}
	if list := call(t, h, "GET", "/v1/clusters?page_size=10&selector=env%3Dprod&group=prod", "", 200); list.at("totalSize") != 1.0 {
		t.Errorf("list %s", list.body)
	}
	if list := call(t, h, "GET", "/v1/clusters?filter=env%3Dprod%2Cphase%3Denrolling&order_by=name%20desc", "", 200); list.at("totalSize") != 1.0 {
		t.Errorf("list %s", list.body)
	}
	if facets := call(t, h, "GET", "/v1/facets/Cluster?facets=env&facets=group", "", 200); facets.at("totalSize") != 1.0 || !strings.Contains(string(facets.body), `"prod"`) {
		t.Errorf("facets %s", facets.body)
	}
	labelled := call(t, h, "POST", "/v1/clusters/berlin:label", `{"set": {"tier": "gold"}}`, 200)
	if labelled.at("metadata", "labels", "tier") != "gold" {
		t.Errorf("labelled %s", labelled.body)
	}
	if banned := call(t, h, "POST", "/v1/clusters/berlin:ban", `{"reason": "lost"}`, 200); banned.at("status", "phase") != "Banned" {
		t.Errorf("banned %s", banned.body)
	}
	call(t, h, "POST", "/v1/clusters/berlin:unban", `{}`, 200)
	if c := call(t, h, "GET", "/v1/clusters/berlin", "", 200); c.at("status", "phase") != "Enrolling" || c.at("spec", "ban") != nil {
		t.Errorf("cluster %s", c.body)
	}

	published := call(t, h, "POST", "/v1/publish", publication("web", "prod", "1"), 200)
	digest, _ := published.at("revision", "spec", "digest").(string)
	if published.at("outcome") != "published" || published.at("clusters") != 1.0 || !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("published %s", published.body)
	}
	call(t, h, "POST", "/v1/publish", publication("web", "prod", "2"), 200)
	if undone := call(t, h, "POST", "/v1/bundles/web:undo", `{}`, 200); undone.at("revision", "spec", "number") != 3.0 {
		t.Errorf("undone %s", undone.body)
	}
	call(t, h, "POST", "/v1/bundles/web/rollout:pause", `{}`, 409) // it has yet to begin
	apitest.Settle(t, h.Store)
	if r := call(t, h, "GET", "/v1/bundles/web/rollout", "", 200); r.at("status", "phase") != "Completed" || r.at("spec", "revision") != 3.0 {
		t.Errorf("rollout %s", r.body)
	}
	for _, verb := range []string{"pause", "resume", "approve", "promote", "retry"} {
		call(t, h, "POST", "/v1/bundles/web/rollout:"+verb, `{"revision": 3}`, 409)
	}
	if revisions := call(t, h, "GET", "/v1/bundles/web/revisions?pageSize=2", "", 200); revisions.at("totalSize") != 3.0 || revisions.at("nextPageToken") == nil {
		t.Errorf("revisions %s", revisions.body)
	}
	if r := call(t, h, "GET", "/v1/bundles/web/revisions/2", "", 200); r.at("metadata", "name") != "web-2" {
		t.Errorf("revision %s", r.body)
	}
	artifact := lines(t, h, "/v1/artifacts/"+digest)
	data, _ := base64.StdEncoding.DecodeString(fmt.Sprint(artifact[0].at("result", "data")))
	if !bytes.Contains(data, []byte(`"kind":"ConfigMap"`)) {
		t.Errorf("artifact %q", data)
	}
	preview := lines(t, h, "/v1/clusters/berlin/assignments/web/preview")
	if len(preview) != 2 || preview[0].at("result", "preview", "renderedDigest") != digest || preview[1].at("result", "data") != artifact[0].at("result", "data") {
		t.Errorf("preview %v", preview)
	}
	call(t, h, "GET", "/v1/clusters/berlin/assignments/nothing/preview", "", 404)
	for _, path := range []string{"/v1/bundles", "/v1/bundles/web", "/v1/clustergroups", "/v1/clustergroups/prod", "/v1/assignments?bundle=web", "/v1/clusters/berlin/assignments/web"} {
		call(t, h, "GET", path, "", 200)
	}
	call(t, h, "POST", "/v1/accept", `{"cluster": "berlin"}`, 404)
	if reconciled := call(t, h, "POST", "/v1/reconcile", `{"bundle": "web"}`, 200); !strings.Contains(string(reconciled.body), "berlin.web") {
		t.Errorf("reconciled %s", reconciled.body)
	}
	if events := lines(t, h, "/v1/events?tail=2"); len(events) != 2 || events[1].at("result", "event", "reason") != "ReconcileRequested" {
		t.Errorf("events %v", events)
	}
	if backup := lines(t, h, "/v1/backup"); len(backup) == 0 || backup[0].at("result", "data") == nil {
		t.Error("the backup is empty")
	}
	call(t, h, "DELETE", "/v1/bundles/web?workloads=WORKLOADS_REMOVE", "", 200)
	call(t, h, "DELETE", "/v1/clusters/berlin?workloads=WORKLOADS_KEEP", "", 200)
	call(t, h, "DELETE", "/v1/clustergroups/prod", "", 200)
	call(t, h, "GET", "/v1/clustergroups/prod", "", 404)
}

// TestEntityTags: what a resource was read with is what If-Match takes.
func TestEntityTags(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	tag := call(t, h, "GET", "/v1/clusters/berlin", "", 200).header.Get("ETag")
	label := func(tag, path, body string) answer {
		t.Helper()
		r := request(t, h, "POST", path, strings.NewReader(body))
		r.Header.Set("If-Match", tag)
		return do(t, h.HTTP, r)
	}
	changed := label(tag, "/v1/clusters/berlin:label", `{"set": {"a": "b"}}`)
	if next := changed.header.Get("ETag"); changed.status != 200 || next == "" || next == tag {
		t.Errorf("status %d, tag %s after %s", changed.status, next, tag)
	}
	for name, tc := range map[string]struct {
		tag, path, body string
		status          int
		words           string
	}{
		"outdated":   {tag, "/v1/clusters/berlin:label", `{"set": {"a": "c"}, "overwrite": true}`, 409, "read it again"},
		"no quotes":  {"1", "/v1/clusters/berlin:ban", `{}`, 400, "with the quotes"},
		"two":        {`"1", "2"`, "/v1/clusters/berlin:ban", `{}`, 400, "one entity tag"},
		"both":       {tag, "/v1/clusters/berlin:ban", `{"resourceVersion": "1"}`, 400, "give one of them"},
		"no single":  {tag, "/v1/apply", `{}`, 400, "leave it out"},
		"everything": {"*", "/v1/clusters/berlin:ban", `{}`, 400, "one entity tag"},
	} {
		if a := label(tc.tag, tc.path, tc.body); a.status != tc.status || !strings.Contains(string(a.body), tc.words) {
			t.Errorf("%s: status %d, %s", name, a.status, a.body)
		}
	}
}

// publication is a body of /v1/publish: JSON values one after the other.
func publication(bundle, group, value string) string {
	f := apitest.ConfigMap("", bundle, value)
	half := len(f.Data) / 2
	piece := func(data []byte) string {
		return fmt.Sprintf(`{"file": {"path": %q, "data": %q}}`, f.Path, base64.StdEncoding.EncodeToString(data)) + "\n"
	}
	return fmt.Sprintf(`{"publication": {"bundle": %q, "groups": [%q]}}`, bundle, group) + "\n" + piece(f.Data[:half]) + piece(f.Data[half:])
}

// lines reads a stream to its end.
func lines(t *testing.T, h *apitest.Hub, path string) []answer {
	t.Helper()
	a := call(t, h, "GET", path, "", 200)
	if got := a.header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("content type %q", got)
	}
	var out []answer
	for line := range bytes.Lines(a.body) {
		l := answer{body: line}
		if err := json.Unmarshal(line, &l.json); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out = append(out, l)
	}
	return out
}

func TestErrorsAreJSONWithDetails(t *testing.T) {
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) { g.MaxArtifactSize = 1 << 20 })
	call(t, h, "POST", "/v1/apply", `{"resources": [`+groupJSON+`, {"bundle": {"metadata": {"name": "web"}, "spec": {"targets": [{"group": "prod"}]}}}]}`, 200)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		code                     float64
		words                    []string
	}{
		{"not found", "GET", "/v1/bundles/nothing", "", 404, 5, []string{`no bundle`, "nothing"}},
		{"not valid", "POST", "/v1/apply", `{"resources": [{"bundle": {"metadata": {"name": "x"}, "spec": {"targets": [{"group": "nowhere"}]}}}]}`, 400, 3, []string{"resources[0].spec.targets[0].group"}},
		{"unknown field", "POST", "/v1/apply", `{"resources": [{"bundle": {"metadata": {"name": "x"}, "spec": {"tragets": []}}}]}`, 400, 3, []string{`unknown field "tragets"`, "line 1"}},
		{"no JSON", "POST", "/v1/apply", `{"resources": [`, 400, 3, []string{"request body"}},
		{"wrong type", "POST", "/v1/apply", `{"resources": "all"}`, 400, 3, []string{"request body"}},
		{"unknown parameter", "GET", "/v1/clusters?page_sise=3", "", 400, 3, []string{"page_sise"}},
		{"bad parameter", "GET", "/v1/clusters?page_size=many", "", 400, 3, []string{"page_size"}},
		{"bad number in the path", "GET", "/v1/bundles/web/revisions/last", "", 400, 3, []string{"number"}},
		{"state forbids it", "DELETE", "/v1/clustergroups/prod", "", 409, 9, []string{"web"}},
		{"stale version", "DELETE", "/v1/bundles/web?workloads=WORKLOADS_KEEP&resourceVersion=0", "", 409, 10, []string{"changed since"}},
		{"no such call", "GET", "/v1/nothing", "", 404, 5, []string{"/openapi.json"}},
		{"no such path", "GET", "/else", "", 404, 5, []string{"/openapi.json"}},
		{"other HTTP method", "DELETE", "/v1/hub", "", 405, 12, nil},
		{"body too large", "POST", "/v1/apply", `{"resources": [` + strings.Repeat(" ", 5<<20) + `]}`, 413, 8, []string{"too large"}},
		{"one value too large", "POST", "/v1/publish", `{"publication": {"bundle": "web"}} {"file": {"path": "a", "data": "` + strings.Repeat("A", 5700<<10), 400, 3, []string{"in chunks"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := call(t, h, tc.method, tc.path, tc.body, tc.status)
			message, _ := a.at("message").(string)
			if a.at("code") != tc.code || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("answer %s", a.body)
			}
			if id := a.header.Get("X-Request-Id"); id == "" || !strings.Contains(string(a.body), "google.rpc.RequestInfo") || !strings.Contains(string(a.body), `"`+id+`"`) {
				t.Errorf("request %q is not named in %s", id, a.body)
			}
			for _, word := range tc.words {
				if !strings.Contains(message, word) {
					t.Errorf("message %q does not say %q", message, word)
				}
			}
		})
	}
	a := call(t, h, "POST", "/v1/apply", `{"resources": [{"bundle": {"metadata": {"name": "Bad"}}}]}`, 400)
	details, _ := a.at("details").([]any)
	if !strings.Contains(fmt.Sprint(details), "google.rpc.BadRequest") || !strings.Contains(fmt.Sprint(details), "resources[0].metadata.name") {
		t.Errorf("details %v", details)
	}
	// A stream that fails ends in a line that says so.
	stream := call(t, h, "GET", "/v1/watch/Pod", "", 400)
	if message, _ := stream.at("error", "message").(string); !strings.Contains(message, "Pod") {
		t.Errorf("stream %s", stream.body)
	}
}

// calls are all methods and paths of the OpenAPI document, so that a new one cannot be forgotten.
func calls(t *testing.T) [][2]string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(hubv1.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	var out [][2]string
	for path, methods := range doc.Paths {
		for method := range methods {
			out = append(out, [2]string{strings.ToUpper(method), strings.NewReplacer("{name}", "x", "{bundle}", "x", "{cluster}", "x", "{number}", "1", "{digest}", "x", "{kind}", "Bundle").Replace(path)})
		}
	}
	if want := len(hubv1.FleetService_ServiceDesc.Methods) + len(hubv1.FleetService_ServiceDesc.Streams); len(out) != want {
		t.Errorf("%d calls over REST, %d over gRPC", len(out), want)
	}
	return out
}

func TestEveryCallNeedsACredential(t *testing.T) {
	h := apitest.Start(t)
	for _, c := range calls(t) {
		for name, header := range map[string]string{"none": "", "unknown": "Bearer yat_local_x", "metadata": "-"} {
			r := request(t, h, c[0], c[1], strings.NewReader("{}"))
			r.Header.Del("Authorization")
			if header == "-" {
				r.Header.Set("Grpc-Metadata-Authorization", "Bearer "+h.Token)
			} else if header != "" {
				r.Header.Set("Authorization", header)
			}
			if a := do(t, h.HTTP, r); a.status != 401 || a.header.Get("WWW-Authenticate") == "" && a.at("error") == nil {
				t.Errorf("%s %s, credential %s: status %d %s", c[0], c[1], name, a.status, a.body)
			}
		}
	}
}

func TestWatchOverRESTIsLineByLine(t *testing.T) {
	for _, protocol := range []string{"HTTP/2", "HTTP/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			h := apitest.Start(t)
			c := h.HTTP
			if protocol == "HTTP/1.1" {
				c = http1(t, h)
			}
			resp, err := c.Do(request(t, h, "GET", "/v1/watch/ClusterGroup", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if fmt.Sprintf("HTTP/%d", resp.ProtoMajor) != strings.TrimSuffix(protocol, ".1") || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("protocol %s, header %v", resp.Proto, resp.Header)
			}
			reader := bufio.NewReader(resp.Body)
			next := func() answer {
				t.Helper()
				line, err := reader.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				a := answer{body: line}
				if err := json.Unmarshal(line, &a.json); err != nil {
					t.Fatal(err)
				}
				return a
			}
			if a := next(); a.at("result", "type") != "BOOKMARK" {
				t.Errorf("first line %s", a.body)
			}
			call(t, h, "POST", "/v1/apply", `{"resources": [`+groupJSON+`]}`, 200)
			if a := next(); a.at("result", "type") != "ADDED" || a.at("result", "clusterGroup", "metadata", "name") != "prod" {
				t.Errorf("line %s", a.body)
			}
			// The hub's end ends the stream in words.
			if err := h.Stop(); err != nil {
				t.Error(err)
			}
			if a := next(); a.at("error", "code") != 14.0 {
				t.Errorf("last line %s", a.body)
			}
			if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ends with %v", err)
			}
		})
	}
}

// http1 is a client that speaks HTTP/1.1 only.
func http1(t *testing.T, h *apitest.Hub) *http.Client {
	t.Helper()
	trusted := h.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: trusted, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestAStreamMayPauseLongerThanAWriteMayTake(t *testing.T) {
	const stall = 20 * time.Millisecond
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) { g.WriteStall = stall })
	resp, err := h.HTTP.Do(request(t, h, "GET", "/v1/events?follow=true", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rpc, err := h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(resp.Body)
	for range 3 {
		<-time.After(3 * stall) // nothing is written meanwhile, which is the point
		h.Observe(t, func(tx *store.Tx) error { return tx.AddEvent(&yardarmv1.Event{Reason: "Tick"}) })
		if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "Tick") {
			t.Fatalf("line %q: %v", line, err)
		}
		if m, err := rpc.Recv(); err != nil || m.GetEvent().GetReason() != "Tick" {
			t.Fatalf("event %v: %v", m, err)
		}
	}
}

func TestPlainPages(t *testing.T) {
	var notReady error
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) {
		g.Ready = run.Checks{{Name: "disk", Ready: func() error { return notReady }}}
	})
	get := func(path string) answer {
		r := request(t, h, "GET", path, nil)
		r.Header.Del("Authorization")
		return do(t, h.HTTP, r)
	}
	if a := get("/livez"); a.status != 200 || string(a.body) != "ok\n" {
		t.Errorf("livez %d %s", a.status, a.body)
	}
	if a := get("/readyz"); a.status != 200 {
		t.Errorf("readyz %d %s", a.status, a.body)
	}
	notReady = errors.New("it is full")
	if a := get("/readyz"); a.status != 503 || string(a.body) != "[-]disk failed: it is full\nnot ready\n" {
		t.Errorf("readyz %d %s", a.status, a.body)
	}
	a := get("/openapi.json")
	if a.at("swagger") != "2.0" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("openapi %d %.80s", a.status, a.body)
	}
}

func TestHeadersThatAreNotTheCallersStayOutside(t *testing.T) {
	h := apitest.Start(t)
	r := request(t, h, "GET", "/v1/hub", nil)
	r.Header.Set("X-Request-Id", "mine")
	r.Header.Set("X-HTTP-Method-Override", "DELETE")
	if a := do(t, h.HTTP, r); a.status != 200 || a.header.Get("X-Request-Id") != "mine" {
		t.Errorf("status %d, header %v", a.status, a.header)
	}
	// A form that is posted is no GET.
	r = request(t, h, "POST", "/v1/hub", strings.NewReader("a=b"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := do(t, h.HTTP, r); a.status != 405 {
		t.Errorf("status %d %s", a.status, a.body)
	}
	trusted := h.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.NextProtos = nil
	for path, status := range map[string]string{
		"/v1/bundles/..%2fclusters": "404", "/v1/clusters/a%2Fb": "404", "/v1/clusters/%00": "404", "/v1/clusters/%zz": "400", "/v1/clusters/%ff": "400",
		"//v1/hub": "307", "/v1/../v1/hub": "307", "*": "400", "/v1/clusters?selector=%ff": "400", "/v1/clusters?group=a%00b": "404",
	} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(h.URL, "https://"), trusted)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, h.Token)
		text, _ := io.ReadAll(conn)
		_ = conn.Close()
		if line, _, _ := strings.Cut(string(text), "\r\n"); !strings.HasPrefix(line, "HTTP/1.1 "+status) {
			t.Errorf("%s: %s, want %s", path, line, status)
		}
	}
}

func TestGRPCNeedsHTTP2AndTLS(t *testing.T) {
	h := apitest.Start(t)
	r := request(t, h, "POST", "/yardarm.hub.v1.FleetService/GetHub", strings.NewReader(""))
	r.Header.Set("Content-Type", "application/grpc")
	if a := do(t, http1(t, h), r); a.status != 404 {
		t.Errorf("over HTTP/1.1: status %d", a.status)
	}
	r = request(t, h, "POST", "/v1/hub", strings.NewReader(""))
	r.Header.Set("Content-Type", "application/grpcish")
	if a := do(t, h.HTTP, r); a.status != 405 {
		t.Errorf("another content type: status %d", a.status)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if answer, _ := io.ReadAll(conn); bytes.Contains(answer, []byte("ok")) {
		t.Errorf("without TLS: %q", answer)
	}
}

func TestConfigIsChecked(t *testing.T) {
	full := gateway.Config{GRPC: grpc.NewServer(), Listener: &net.TCPListener{}, TLS: &tls.Config{}}
	for name, change := range map[string]func(*gateway.Config){
		"grpc": func(c *gateway.Config) { c.GRPC = nil }, "listener": func(c *gateway.Config) { c.Listener = nil }, "tls": func(c *gateway.Config) { c.TLS = nil },
	} {
		c := full
		change(&c)
		if _, err := gateway.New(c); err == nil {
			t.Errorf("without %s there is no error", name)
		}
	}
}

func TestAStalledPublicationGivesWay(t *testing.T) {
	t.Parallel() // it waits for the timeout, which leaves a busy machine the time to read what is sent first
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
		c.Limits.Publications, c.Limits.CallTimeout = 1, 10*time.Second
	})
	call(t, h, "POST", "/v1/apply", `{"resources": [`+groupJSON+`]}`, 200)
	body, feed := io.Pipe()
	r := request(t, h, "POST", "/v1/publish", body)
	result := make(chan int, 1)
	go func() {
		resp, err := h.HTTP.Do(r)
		if err != nil {
			t.Error(err)
			result <- 0
			return
		}
		_ = resp.Body.Close()
		result <- resp.StatusCode
	}()
	// More than fits in between: the last can be written only once the hub has taken the first, and so has given the call its place.
	comment := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("# long\n"), 1<<20/7))
	text := `{"publication": {"bundle": "web", "groups": ["prod"]}}` + strings.Repeat(`{"file": {"path": "comment.yaml", "data": "`+comment+`"}}`, 6)
	if _, err := io.WriteString(feed, text); err != nil {
		t.Fatal(err)
	}
	publish := func() int {
		return do(t, h.HTTP, request(t, h, "POST", "/v1/publish", strings.NewReader(publication("api", "prod", "1")))).status
	}
	if got := publish(); got != 429 {
		t.Errorf("while the only place is taken: status %d", got)
	}
	for end := time.Now().Add(time.Minute); publish() != 200; {
		if time.Now().After(end) {
			t.Fatal("the stalled publication keeps its place")
		}
	}
	_ = feed.Close()
	if got := <-result; got != 504 {
		t.Errorf("the stalled publication is answered with %d", got)
	}
}

// A connection on which a credential has been shown is no stranger to the port any more, over REST as over gRPC; one that shows none stays
// one. Regression: all stayed strangers, and 4,096 watches kept everybody out.
func TestCredentialsMakeRoom(t *testing.T) {
	metrics := prometheus.NewRegistry()
	h := apitest.Start(t, func(_ *api.Config, c *gateway.Config) { c.Registerer = metrics })
	strangers := func(want float64) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			families, err := metrics.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := -1.0
			for _, f := range families {
				if f.GetName() == "yardarm_connections_strangers" {
					got = f.Metric[0].Gauge.GetValue()
				}
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v strangers, want %v", got, want)
			}
		}
	}
	if a := do(t, h.HTTP, request(t, h, "GET", "/v1/clusters", nil)); a.status != http.StatusOK {
		t.Fatal(a.status)
	}
	if _, err := h.GetHub(t.Context(), &hubv1.GetHubRequest{}); err != nil {
		t.Fatal(err)
	}
	strangers(0)
	for i, header := range []string{"", "Bearer yat_nobody_x", "Basic " + h.Token} {
		c := &http.Client{Transport: h.HTTP.Transport.(*http.Transport).Clone()}
		t.Cleanup(c.CloseIdleConnections)
		r := request(t, h, "GET", "/v1/clusters", nil)
		r.Header.Set("Authorization", header)
		if a := do(t, c, r); a.status != http.StatusUnauthorized {
			t.Errorf("with %q: %d", header, a.status)
		}
		strangers(float64(i + 1))
	}
}
