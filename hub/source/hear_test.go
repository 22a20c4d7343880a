package source

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// hookSecret is what the webhooks of these tests are signed with.
const hookSecret = "the secret of webhooks"

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a webhook over the hub's port, and answers the status and what it says.
func (w *world) post(name, header, value string, body []byte) (int, string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.hub.URL+"/webhooks/source/"+name, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set(header, value)
	resp, err := w.hub.HTTP.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// ring sends a good one.
func (w *world) ring() {
	w.Helper()
	body := []byte(`{"ref":"refs/heads/main"}`)
	if code, text := w.post("git", "X-Yardarm-Signature", signature(body), body); code != http.StatusAccepted {
		w.Errorf("a signed webhook: %d %s", code, text)
	}
}

// newHeardWorld is one whose repository is public, and whose credentials are a webhook secret alone (and the CA of a test's server).
func newHeardWorld(t *testing.T) *world {
	w := newWorld(t)
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Ca: string(w.server.CA), WebhookSecret: hookSecret})
	return w
}

// What is pushed is a revision at once, though the source is asked once an hour.
func TestWebhook(t *testing.T) {
	w := newHeardWorld(t)
	first := w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(first)
	second := w.Commit("two", "apps/web/a.yaml", configMap("a", "two"))
	begin := time.Now()
	w.ring()
	if b := w.untilCommit(second); b.Status.LatestRevision != 2 {
		t.Errorf("the status is %v", b.Status)
	}
	t.Logf("a revision after %s", time.Since(begin).Round(time.Millisecond))

	// Nobody else has the hub look.
	refs := w.server.Refs.Load()
	w.keepAs("other", &yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, WebhookSecret: hookSecret})
	body := []byte("{}")
	if code, text := w.post("other", "X-Yardarm-Signature", signature(body), body); code != http.StatusAccepted {
		t.Errorf("a webhook of credentials that no bundle names: %d %s", code, text)
	}
	if code, _ := w.post("git", "X-Yardarm-Signature", "sha256=00", body); code != http.StatusUnauthorized {
		t.Errorf("a webhook that is not signed: %d", code)
	}
	third := w.Commit("three", "apps/web/a.yaml", configMap("a", "three"))
	w.ring()
	w.untilCommit(third)
	if n := w.server.Refs.Load() - refs; n != 1 {
		t.Errorf("the repository was asked %d times", n)
	}
}

// Whoever is refused learns nothing of what there is.
func TestRefusedWebhooks(t *testing.T) {
	w := newHeardWorld(t)
	w.keepAs("silent", &yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Password: "a-password", Username: "ann"})
	body := []byte("{}")
	said := make(map[string]bool)
	for _, test := range []struct{ name, header, value string }{
		{"git", "X-Hub-Signature-256", "sha256=00"},
		{"git", "X-Request-Source", "nothing that is a proof"},
		{"git", "Authorization", "Bearer " + w.hub.Token},
		{"silent", "X-Hub-Signature-256", signature(body)},
		{"silent", "X-Gitlab-Token", "a-password"},
		{"none", "X-Hub-Signature-256", signature(body)},
		{"%2e%2e", "X-Gitlab-Token", ""},
	} {
		code, text := w.post(test.name, test.header, test.value, body)
		var answer struct{ Message string }
		if err := json.Unmarshal([]byte(text), &answer); err != nil || code != http.StatusUnauthorized {
			t.Errorf("%v: %d %s", test, code, text)
		}
		said[answer.Message] = true
	}
	if len(said) != 1 {
		t.Errorf("refusals differ: %v", said)
	}

	large := bytes.Repeat([]byte("x"), 1<<20+1)
	if code, text := w.post("git", "X-Yardarm-Signature", signature(large), large); code != http.StatusRequestEntityTooLarge || !strings.Contains(text, "too large") {
		t.Errorf("one that is too large: %d %s", code, text)
	}
	if code, text := w.post("git", "X-Yardarm-Signature", signature(large[1:]), large[1:]); code != http.StatusAccepted {
		t.Errorf("one that is just not: %d %s", code, text)
	}

	// Those who guess are told to come back later; one who knows is heard from the same address.
	code := 0
	for n := 0; n < 1000 && code != http.StatusTooManyRequests; n++ {
		code, _ = w.post("git", "X-Gitlab-Token", "guessed", body)
	}
	if code != http.StatusTooManyRequests {
		t.Errorf("a thousand guesses: %d", code)
	}
	w.ring()
}

// However many webhooks come during a look, there is one more look.
func TestWebhooksAreCoalesced(t *testing.T) {
	w := newHeardWorld(t)
	first := w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(first)
	refs := w.server.Refs.Load()
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	w.server.Allow = func(*http.Request) bool {
		asked <- struct{}{}
		<-answer
		return true
	}
	underWay := func() {
		t.Helper()
		select {
		case <-asked:
		case <-time.After(20 * time.Second):
			t.Error("nobody looks")
		}
	}
	w.ring()
	underWay()
	for range 20 {
		w.ring()
	}
	close(answer)
	underWay()
	second := w.Commit("two", "apps/web/a.yaml", configMap("a", "two"))
	w.ring()
	w.untilCommit(second)
	w.stop()
	// The one under way, the one more, and that of the second commit, unless the one more has found it.
	if n := w.server.Refs.Load() - refs; n < 2 || n > 3 {
		t.Errorf("the repository was asked %d times", n)
	}
}
