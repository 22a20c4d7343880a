package scenarios

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// A pipeline has a token for one bundle in one group. It publishes that, and is refused everything else, over gRPC and REST; revoked, it is out at once.
func TestPublisherToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: others}\nspec: {selector: {matchLabels: {nobody: \"yes\"}}}\n")
	w.publish("db", "others", namespace)

	token := strings.TrimSpace(w.do("token", "create", "web-ci", "--role", "publisher", "--bundle", "web", "--group", "all", "--expires", "1h"))
	ci := w.as(token)
	manifests := w.files(namespace, settings("one", "1"))
	w.must(ci.Run(w.ctx, "publish", manifests, "--bundle", "web", "--to", "all").Err())
	w.must(ci.Run(w.ctx, "wait", "bundle/web", "--timeout", patience.String()).Err())
	w.holds("one", "value", "1", tokyo)
	w.said(ci.Run(w.ctx, "auth", "whoami"), 0, "token/web-ci", "publisher", "web", "all")
	w.said(ci.Run(w.ctx, "auth", "can-i", "publish", "bundles", "--bundle", "web"), 0, "yes")
	w.said(ci.Run(w.ctx, "auth", "can-i", "publish", "bundles", "--bundle", "db"), 1, "no")
	for _, refused := range []struct {
		args  []string
		words string
	}{
		{[]string{"publish", manifests, "--bundle", "web", "--to", "all,others"}, `"others"`},
		{[]string{"publish", manifests, "--bundle", "api", "--to", "all"}, `may not publish bundle "api"`},
		{[]string{"get", "bundle/db"}, "there is no bundle"},
		{[]string{"delete", "bundle", "web", "--keep"}, "may not delete bundles"},
		{[]string{"label", "cluster", tokyo, "a=b"}, "may not label clusters"},
		{[]string{"ban", tokyo}, "may not ban clusters"},
		{[]string{"enroll", "oslo", "--no-wait"}, "may not enroll clusters"},
		{[]string{"get", "tokens"}, "may not get tokens"},
		{[]string{"token", "create", "more", "--role", "admin"}, "may not create tokens"},
	} {
		r := ci.Run(w.ctx, refused.args...)
		if r.ExitCode == 0 || !strings.Contains(r.Stderr, refused.words) {
			t.Errorf("%s: exit status %d, and it does not say %q:\n%s%s", r.Command, r.ExitCode, refused.words, r.Stdout, r.Stderr)
		}
	}
	if out := ci.Run(w.ctx, "get", "bundles,groups", "-o", "name").Stdout; out != "bundle/web\nclustergroup/all\n" {
		t.Errorf("it sees %q", out)
	}
	for path, want := range map[string]int{"/v1/bundles/web": 200, "/v1/bundles/db": 404, "/v1/tokens": 403, "/v1/rolebindings": 403, "/v1/backup": 403} {
		if got := w.restAs(token, http.MethodGet, path, "").StatusCode; got != want {
			t.Errorf("GET %s: status %d, want %d", path, got, want)
		}
	}
	if got := w.restAs(token, http.MethodDelete, "/v1/bundles/web?workloads=WORKLOADS_KEEP", "").StatusCode; got != 403 {
		t.Errorf("DELETE: status %d", got)
	}
	if by := w.do("get", "revision", "web-1", "-o", "yaml"); !strings.Contains(by, "actor: token/web-ci") {
		t.Errorf("the revision is of somebody else:\n%s", by)
	}
	if tokens := w.do("get", "tokens"); !strings.Contains(tokens, "web-ci") || strings.Contains(tokens, "never") || strings.Contains(tokens, token) {
		t.Errorf("tokens:\n%s", tokens)
	}

	stream := w.restAs(token, http.MethodGet, "/v1/watch/Bundle", "")
	ended := make(chan string, 1)
	go func() {
		last := ""
		for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
			last = lines.Text()
		}
		ended <- last
	}()
	w.do("token", "revoke", "web-ci")
	if last := <-ended; !strings.Contains(last, "revoked") {
		t.Errorf("the stream ends with %q", last)
	}
	w.said(ci.Run(w.ctx, "get", "bundles"), 2, "credential")
	if got := w.restAs(token, http.MethodGet, "/v1/bundles", "").StatusCode; got != 401 {
		t.Errorf("after it is revoked: status %d", got)
	}
}

// as is the CLI of somebody with a token.
func (w *world) as(token string) *fleet.CLI {
	w.t.Helper()
	var config struct {
		Contexts []struct{ Server, CA string }
	}
	w.must(json.Unmarshal([]byte(w.do("config", "view", "--raw", "-o", "json")), &config))
	dir := w.t.TempDir()
	c := &fleet.CLI{Programs: programs, Config: filepath.Join(dir, "config.yaml")}
	ca := filepath.Join(dir, "ca.pem")
	w.must(os.WriteFile(ca, []byte(config.Contexts[0].CA), 0o600))
	server := strings.TrimPrefix(config.Contexts[0].Server, "https://")
	w.must(c.RunWith(w.ctx, token, "config", "set-context", "ci", "--server", server, "--ca", ca, "--token-file", "-").Err())
	w.must(c.Run(w.ctx, "config", "use-context", "ci").Err())
	return c
}

// restAs calls with a token. What it answers is read if it is no stream.
func (w *world) restAs(token, method, path, body string) *http.Response {
	w.t.Helper()
	client, _, err := w.hub.HTTP()
	w.must(err)
	request, err := http.NewRequestWithContext(w.ctx, method, w.hub.URL()+path, strings.NewReader(body))
	w.must(err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	w.must(err)
	w.t.Cleanup(func() { response.Body.Close() })
	if !strings.HasPrefix(path, "/v1/watch") {
		_, err = io.Copy(io.Discard, response.Body)
		w.must(err)
	}
	return response
}
