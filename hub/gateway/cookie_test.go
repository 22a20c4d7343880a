package gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/seal"
)

func newJar(t *testing.T) jar {
	t.Helper()
	sealer, err := seal.New(seal.Config{File: t.TempDir() + "/hub.key", Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return jar{sealer, sessionCookie}
}

// browser keeps cookies as one does.
type browser map[string]string

func (b browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range b {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b browser) take(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("cookie %s of %d bytes: %v", c.Name, len(c.Value), c)
		}
		if c.MaxAge < 0 {
			delete(b, c.Name)
		} else {
			b[c.Name] = c.Value
		}
	}
}

// TestJar: a secret of any length that browsers keep comes back as it was, in the place of the one before, and from nobody else's hand.
func TestJar(t *testing.T) {
	j, b := newJar(t), browser{}
	for _, size := range []int{10, 9000, 4000, 1} {
		w := httptest.NewRecorder()
		if err := j.put(w, b.request(), session{Token: strings.Repeat("x", size)}, time.Hour); err != nil {
			t.Fatal(err)
		}
		b.take(t, w)
		var got session
		if !j.take(b.request(), &got) || len(got.Token) != size || !j.has(b.request()) {
			t.Errorf("of %d bytes came back %d, in %d cookies", size, len(got.Token), len(b))
		}
	}
	if len(b) != 1 {
		t.Errorf("a short secret is in %d cookies", len(b))
	}
	if err := j.put(httptest.NewRecorder(), b.request(), session{Token: strings.Repeat("x", 12_000)}, time.Hour); err == nil || !strings.Contains(err.Error(), "fewer groups") {
		t.Errorf("too long a secret: %v", err)
	}
	var got session
	if other := (jar{j.sealer, questionCookie}); other.take(browser{questionCookie: b[sessionCookie]}.request(), &got) {
		t.Error("a secret of one kind counts as another")
	}
	if newJar(t).take(b.request(), &got) {
		t.Error("another hub's counts")
	}
	w := httptest.NewRecorder()
	j.clear(w, b.request())
	b.take(t, w)
	if j.has(b.request()) || len(b) != 0 {
		t.Errorf("after its end there is %v", b)
	}
}

// TestRenewals: calls at one time that come with the same refresh token have it used once, and one that fails is tried again.
func TestRenewals(t *testing.T) {
	r, now, calls := newRenewals(), time.Unix(1000, 0), 0
	have := session{Token: "a", Refresh: "ra", Expires: 1010}
	renew := func() (session, error) {
		calls++
		if calls == 1 {
			return have, errors.New("away")
		}
		return session{Token: "b", Refresh: "rb", Expires: 1300}, nil
	}
	if _, err := r.once(have, now, renew); err == nil {
		t.Error("what has failed counts")
	}
	for range 3 {
		if next, err := r.once(have, now, renew); err != nil || next.Token != "b" {
			t.Errorf("%v, %v", next, err)
		}
	}
	if calls != 2 {
		t.Errorf("renewed %d times", calls)
	}
	// One who never heard of what it came to, and comes back after its end.
	if _, _ = r.once(have, time.Unix(1300, 0), renew); calls != 3 {
		t.Errorf("what has expired counts: %d calls", calls)
	}
}
