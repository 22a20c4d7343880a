package tracing_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/tracing"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// output is a log that a test reads while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// TestHubIsTraced runs a hub, has it change something and refuse something over REST, and stops it: by then, the collector has a trace of each call, which says which request it
// was, is linked to the caller's own, and holds nothing of what was said.
func TestHubIsTraced(t *testing.T) {
	r, said := &receiver{}, &output{}
	address, ca := r.serve(t)
	dir := t.TempDir()
	h, err := hub.New(hub.Config{DataDir: dir, Listen: "127.0.0.1:0", SpokeListen: "127.0.0.1:0", Addresses: []string{"127.0.0.1"},
		Logger: slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Traces: tracing.Config{Endpoint: "https://" + address, CA: ca, Attributes: []string{"deployment.environment.name=test"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(said.String(), "msg=serving"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || len(ended) > 0 {
			t.Fatalf("the hub does not serve:\n%s", said)
		}
	}
	where, err := clientconfig.Load(filepath.Join(dir, hub.AdminFile))
	if err != nil {
		t.Fatal(err)
	}
	admin := where.Contexts[0]
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(admin.CA))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	const caller = "0af7651916cd43dd8448eb211c80319c"
	post := func(id, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, admin.Server+"/v1/apply", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + admin.Token, "X-Request-Id": id, "Traceparent": "00-" + caller + "-b7ad6b7169203331-01"} {
			req.Header.Set(name, value)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := post("request-one", `{"resources": [{"clusterGroup": {"metadata": {"name": "prod", "annotations": {"note": "mum's the word"}}, "spec": {"selector": {"matchLabels": {"env": "prod"}}}}}]}`); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	if code := post("request-two", `{"resources": [{"clusterGroup": {"metadata": {"name": "Not A Name"}}}]}`); code != http.StatusBadRequest {
		t.Fatalf("status %d", code)
	}
	transport.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	spans := r.spans()
	calls, commits := spans["yardarm.hub.v1.FleetService/Apply"], spans["commit"]
	if len(calls) != 2 || len(commits) != 1 {
		t.Fatalf("%d calls, and %d commits", len(calls), len(commits))
	}
	if !bytes.Equal(commits[0].TraceId, calls[0].TraceId) || !bytes.Equal(commits[0].ParentSpanId, calls[0].SpanId) {
		t.Error("the commit is none of the call's")
	}
	for i, id := range []string{"request-one", "request-two"} {
		text := prototext.Format(calls[i])
		if len(calls[i].ParentSpanId) > 0 || len(calls[i].Links) != 1 || hex.EncodeToString(calls[i].Links[0].TraceId) != caller || hex.EncodeToString(calls[i].TraceId) == caller {
			t.Errorf("how it belongs to the caller's trace: %s", text)
		}
		if !strings.Contains(text, id) {
			t.Errorf("it does not say that it is of %s: %s", id, text)
		}
	}
	if trace := hex.EncodeToString(calls[1].TraceId); !strings.Contains(said.String(), "request=request-two") || !strings.Contains(said.String(), "trace="+trace) {
		t.Errorf("the log does not name trace %s of what was refused:\n%s", trace, said)
	}
	all := r.text()
	for _, want := range []string{"yardarm-hub", "deployment.environment.name"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is nowhere in:\n%s", want, all)
		}
	}
	for _, secret := range []string{admin.Token, "the word", "Not A Name", "matchLabels", "note"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in the traces", secret)
		}
	}
}
