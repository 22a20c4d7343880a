package scenarios

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
)

// What is pushed becomes a revision, is rolled out, and is in the cluster, at once: by a webhook, as a server of Git sends it. A push that breaks rendering changes nothing there, and whoever asks is told what is wrong, in
// which file, line and commit; the next good one is rolled out.
func TestPushReachesClusters(t *testing.T) {
	t.Parallel()
	w, clone, url := newSourceWorld(t)
	w.enrol(tokyo)
	w.group("all")
	push := func(subject string, texts ...string) string {
		t.Helper()
		text := strings.ReplaceAll(strings.Join(texts, "---\n"), "NS", w.id)
		commit := clone.Commit(subject, "apps/web/all.yaml", text)
		w.push(clone, commit)
		return commit
	}
	first := push("one", namespace, settings("one", "1"))
	w.apply("apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: web}\nspec:\n  targets: [{group: all}]\n  source: {git: {url: " + url + ", ref: {branch: main}, path: apps/web, credentials: fleet-repo, interval: 1h}}\n")
	w.eventuallyHolds(tokyo, "one", "1")
	w.ready("web", 1)
	reader := w.newReader()
	reader.says(w.do("get", "revision", "web-1", "-o", "yaml"), "actor: source:web", first, "message: one")

	second := push("two", namespace, settings("one", "2"))
	w.eventuallyHolds(tokyo, "one", "2")
	w.ready("web", 2)
	reader.says(w.do("get", "revision", "web-2", "-o", "yaml"), second)

	broken := push("three", namespace, settings("one", "3")+"oops: [\n")
	w.eventually("the push is seen", func() error {
		if out := w.do("describe", "bundle/web"); !strings.Contains(out, broken) {
			return errors.New(out)
		}
		return nil
	})
	for _, args := range [][]string{{"problems"}, {"problems", "bundle/web"}, {"why", tokyo, "web"}} {
		reader.says(w.do(args...), "bundle/web gets no new revision", "RenderingFailed", "all.yaml:", "(commit "+broken[:8]+")")
	}
	reader.says(w.do("get", "bundles"), "RenderingFailed")
	w.holds("one", "value", "2", tokyo)

	push("four", namespace, settings("one", "4"))
	w.eventuallyHolds(tokyo, "one", "4")
	w.ready("web", 3)
	if out := w.do("problems"); strings.Contains(out, "gets no new revision") {
		t.Errorf("it is still told:\n%s", out)
	}
}

// newSourceWorld is a world whose hub may follow a repository at the URL, and a clone of that to push from.
func newSourceWorld(t *testing.T) (w *world, clone *gittest.Repository, url string) {
	t.Helper()
	repository := gittest.New(t)
	repository.Git("config", "receive.denyCurrentBranch", "ignore")
	repository.Commit("begin", "README", "nothing yet")
	server := gittest.Serve(repository, nil)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, server.CA, 0o644); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "webhook-secret")
	if err := os.WriteFile(secret, []byte("the secret of webhooks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorldOf(t, fleet.HubConfig{Flags: []string{"--source-local"}, Env: []string{"SSL_CERT_FILE=" + ca}})
	w.do("credentials", "set", "fleet-repo", "--bundle", "web", "--url", server.URL, "--webhook-secret-file", secret)
	clone = &gittest.Repository{TB: t, Dir: filepath.Join(t.TempDir(), "clone")}
	repository.Git("clone", "-q", repository.Dir, clone.Dir)
	return w, clone, server.Repo
}

// push pushes what was committed to a clone, and tells the hub.
func (w *world) push(clone *gittest.Repository, commit string) {
	w.t.Helper()
	clone.Git("push", "-q", "origin", "main")
	w.tellOfPush("fleet-repo", "the secret of webhooks", commit)
}

// tellOfPush sends the webhook that GitHub would send to source credentials.
func (w *world) tellOfPush(credentials, secret, commit string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"ref":"refs/heads/main","after":%q}`, commit)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	client, _, err := w.hub.HTTP()
	w.must(err)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.hub.URL()+"/webhooks/source/"+credentials, strings.NewReader(body))
	w.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := client.Do(r)
	w.must(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		w.t.Errorf("the webhook was answered %s", answer.Status)
	}
}
