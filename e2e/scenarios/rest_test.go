package scenarios

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// All that the CLI can do works over HTTP and JSON: lists, refusals, a publication, and a stream of changes.
func TestREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")

	var list struct {
		Clusters []struct{ Metadata struct{ Name string } }
	}
	if code := w.rest(&list, http.MethodGet, "/v1/clusters", ""); code != 200 || len(list.Clusters) != 1 || list.Clusters[0].Metadata.Name != tokyo {
		t.Errorf("clusters: %d %+v", code, list)
	}
	var refusal struct {
		Code    int
		Message string
		Details []struct{ Reason string }
	}
	if code := w.rest(&refusal, http.MethodGet, "/v1/clusters/nobody", ""); code != 404 || refusal.Code != 5 ||
		!strings.Contains(refusal.Message, "nobody") || len(refusal.Details) == 0 || refusal.Details[0].Reason != "NOT_FOUND" {
		t.Errorf("a cluster that there is not: %d %+v", code, refusal)
	}
	if code := w.rest(&refusal, http.MethodPost, "/v1/clusters/tokyo:label", `{"set":{"a":"b"},"sett":{}}`); code != 400 || !strings.Contains(refusal.Message, "sett") {
		t.Errorf("an unknown field: %d %+v", code, refusal)
	}

	// The stream is opened first, and shows what comes about.
	client, token, err := w.hub.HTTP()
	w.must(err)
	request, err := http.NewRequestWithContext(w.ctx, http.MethodGet, w.hub.URL()+"/v1/watch/Bundle", nil)
	w.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	stream, err := client.Do(request)
	w.must(err)
	defer stream.Body.Close()
	if stream.StatusCode != 200 || stream.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("watch: %s, %s", stream.Status, stream.Header.Get("Content-Type"))
	}
	seen := make(chan error, 1)
	go func() { seen <- sees(stream.Body, `"name":"web"`) }()

	file := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(namespace+"---\n"+settings("one", "1"), "NS", w.id)))
	var published struct {
		Revision struct{ Spec struct{ Number int } }
		Outcome  string
	}
	body := `{"publication":{"bundle":"web","groups":["all"]}}` + "\n" + `{"file":{"path":"all.yaml","data":"` + file + `"}}` + "\n"
	if code := w.rest(&published, http.MethodPost, "/v1/publish", body); code != 200 || published.Revision.Spec.Number != 1 {
		t.Fatalf("publish: %d %+v", code, published)
	}
	w.ready("web", 1)
	w.holds("one", "value", "1", tokyo)
	select {
	case err := <-seen:
		w.must(err)
	case <-time.After(patience):
		t.Error("the stream does not tell of the bundle")
	}

	// Without a credential, or without the hub's CA, there is nothing.
	response, err := client.Get(w.hub.URL() + "/v1/clusters")
	w.must(err)
	response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("without a credential: %s", response.Status)
	}
	if response, err := http.Get(w.hub.URL() + "/v1/clusters"); err == nil {
		response.Body.Close()
		t.Error("its certificate is taken without its CA")
	}
}

// The line that the demo prints works.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is needed: .ci/tools installs it")
	}
	w := newWorld(t)
	ca, header, err := w.hub.WriteCurl(t.TempDir())
	w.must(err)
	w.said(fleet.Exec(w.ctx, curl, "-sS", "--fail", "--cacert", ca, "-H", "@"+header, w.hub.URL()+"/v1/hub"), 0, `"fleet"`)
	w.said(fleet.Exec(w.ctx, curl, "-sS", "-N", "--max-time", "2", "--cacert", ca, "-H", "@"+header, w.hub.URL()+"/v1/watch/Cluster"), 28)
}

// rest makes a call and reads its answer.
func (w *world) rest(answer any, method, path, body string) int {
	w.t.Helper()
	client, token, err := w.hub.HTTP()
	w.must(err)
	request, err := http.NewRequestWithContext(w.ctx, method, w.hub.URL()+path, strings.NewReader(body))
	w.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	w.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	if err := json.Unmarshal(text, answer); err != nil {
		w.t.Errorf("%s %s: %v: %s", method, path, err, text)
	}
	return response.StatusCode
}

// sees reads a stream of JSON objects, one a line, until one contains a text.
func sees(stream io.Reader, text string) error {
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		if !json.Valid(lines.Bytes()) {
			return fmt.Errorf("a line is no JSON: %s", lines.Bytes())
		}
		if strings.Contains(lines.Text(), text) {
			return nil
		}
	}
	return fmt.Errorf("the stream ended: %w", lines.Err())
}
