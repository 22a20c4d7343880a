package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// fromPage is a request as a page of the hub sends it; changes are applied to its headers.
func fromPage(t *testing.T, h *apitest.Hub, method, path, body, cookie string, changes ...func(http.Header)) answer {
	t.Helper()
	r := request(t, h, method, path, strings.NewReader(body))
	r.Header.Del("Authorization")
	r.Header.Set("X-Yardarm-Page", "1")
	r.Header.Set("Origin", h.URL)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	for _, change := range changes {
		change(r.Header)
	}
	return do(t, h.HTTP, r)
}

// signIn begins a session and answers its cookie, as a browser sends it.
func signIn(t *testing.T, h *apitest.Hub, body string) string {
	t.Helper()
	a := fromPage(t, h, "POST", "/session", body, "")
	set := a.header.Get("Set-Cookie")
	if a.status != http.StatusNoContent || set == "" {
		t.Fatalf("sign in: %d %s", a.status, a.body)
	}
	for _, part := range []string{"__Host-yardarm=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie has no %s: %s", part, set)
		}
	}
	if strings.Contains(set, h.Token) {
		t.Error("the cookie holds the token as it is")
	}
	cookie, _, _ := strings.Cut(set, ";")
	return cookie
}

func TestSession(t *testing.T) {
	h := apitest.Start(t)
	token, err := json.Marshal(map[string]string{"token": h.Token})
	if err != nil {
		t.Fatal(err)
	}
	cookie := signIn(t, h, string(token))
	none := func(http.Header) {}
	noHeader := func(header http.Header) { header.Del("X-Yardarm-Page") }
	elsewhere := func(header http.Header) {
		header.Set("Origin", "https://evil.example")
		header.Set("Sec-Fetch-Site", "cross-site")
	}
	old := func(header http.Header) { header.Set("Origin", "https://evil.example"); header.Del("Sec-Fetch-Site") } // a browser without fetch metadata
	apply := `{"resources": [` + groupJSON + `], "dryRun": true}`
	for _, tc := range []struct {
		name, method, path, body, cookie string
		change                           func(http.Header)
		status                           int
	}{
		{"a page reads", "GET", "/v1/whoami", "", cookie, none, 200},
		{"a page changes", "POST", "/v1/apply", apply, cookie, none, 200},
		{"nobody reads", "GET", "/v1/whoami", "", "", none, 401},
		{"a link or a form", "POST", "/v1/apply", apply, cookie, noHeader, 403},
		{"a link that reads", "GET", "/v1/whoami", "", cookie, noHeader, 403},
		{"another site", "POST", "/v1/apply", apply, cookie, elsewhere, 403},
		{"another site, in an old browser", "POST", "/v1/apply", apply, cookie, old, 403},
		{"another site, without a cookie", "POST", "/v1/apply", apply, "", elsewhere, 403},
		{"another site signs somebody in", "POST", "/session", string(token), "", elsewhere, 403},
		{"another site signs somebody out", "DELETE", "/session", "", cookie, elsewhere, 403},
		{"a cookie that is made up", "GET", "/v1/whoami", "", "__Host-yardarm=AAAA", none, 401},
		{"a cookie that is changed", "GET", "/v1/whoami", "", cookie[:len(cookie)-2] + "AA", none, 401},
		{"a token that nobody has", "POST", "/session", `{"token": "yat_x_y"}`, "", none, 401},
		{"a code that nobody has made", "POST", "/session", `{"code": "x"}`, "", none, 401},
		{"both", "POST", "/session", `{"token": "x", "code": "x"}`, "", none, 400},
		{"neither", "POST", "/session", `{}`, "", none, 400},
		{"no JSON", "POST", "/session", `{`, "", none, 400},
	} {
		if a := fromPage(t, h, tc.method, tc.path, tc.body, tc.cookie, tc.change); a.status != tc.status {
			t.Errorf("%s: %d %s, want %d", tc.name, a.status, a.body, tc.status)
		}
	}
	a := fromPage(t, h, "DELETE", "/session", "", cookie)
	if set := a.header.Get("Set-Cookie"); a.status != 204 || !strings.Contains(set, "Max-Age=0") {
		t.Errorf("sign out: %d, cookie %q", a.status, set)
	}
}

// A session is as good as its token, and no better.
func TestSessionEndsWithItsToken(t *testing.T) {
	h := apitest.Start(t)
	made, err := h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "looker", Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	cookie := signIn(t, h, `{"token": "`+made.Secret+`"}`)
	if a := fromPage(t, h, "GET", "/v1/whoami", "", cookie); a.at("actor") != "token/looker" {
		t.Errorf("who: %d %s", a.status, a.body)
	}
	if _, err := h.RevokeToken(t.Context(), &hubv1.RevokeTokenRequest{Name: "looker"}); err != nil {
		t.Fatal(err)
	}
	if a := fromPage(t, h, "GET", "/v1/whoami", "", cookie); a.status != 401 {
		t.Errorf("after its end: %d %s", a.status, a.body)
	}
}

func TestSignInLink(t *testing.T) {
	h := apitest.Start(t)
	a := do(t, h.HTTP, request(t, h, "POST", "/session/link", nil))
	code, _ := a.at("code").(string)
	if a.status != 200 || len(code) < 26 {
		t.Fatalf("link: %d %s", a.status, a.body)
	}
	body := `{"code": "` + code + `"}`
	cookie := signIn(t, h, body)
	if a := fromPage(t, h, "GET", "/v1/whoami", "", cookie); a.status != 200 {
		t.Errorf("who: %d %s", a.status, a.body)
	}
	if a := fromPage(t, h, "POST", "/session", body, ""); a.status != 401 {
		t.Errorf("a second time: %d %s", a.status, a.body)
	}
	// A session makes no link: what a page can do must not outlive it.
	if a := fromPage(t, h, "POST", "/session/link", "", cookie); a.status != 401 {
		t.Errorf("by a session: %d %s", a.status, a.body)
	}
}

func TestPages(t *testing.T) {
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) { g.Pages = pages })
	for _, tc := range []struct {
		method, path, accept string
		status               int
	}{
		{"GET", "/", "text/html,*/*;q=0.8", 418},
		{"GET", "/clusters/edge-1", "text/html", 418},
		{"GET", "/assets/app.js", "*/*", 418},
		{"GET", "/clusters", "application/json", 404},
		{"POST", "/", "text/html", 404},
		{"GET", "/livez", "text/html", 200},
		{"GET", "/v1/nothing", "text/html", 404},
	} {
		r := request(t, h, tc.method, tc.path, nil)
		r.Header.Set("Accept", tc.accept)
		if a := do(t, h.HTTP, r); a.status != tc.status {
			t.Errorf("%s %s as %s: %d, want %d", tc.method, tc.path, tc.accept, a.status, tc.status)
		}
	}
}
