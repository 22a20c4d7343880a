package gateway_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// TestReference finds each call and each message of the OpenAPI document on the page about it, which runs no script, loads nothing, applies only the style that its policy
// names, and links to what there is.
func TestReference(t *testing.T) {
	h := apitest.Start(t)
	r := request(t, h, "GET", "/api", nil)
	r.Header.Del("Authorization")
	r.Header.Set("Accept", "text/html")
	a := do(t, h.HTTP, r)
	page := string(a.body)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %v", a.status, a.header)
	}
	var doc struct {
		Paths       map[string]map[string]struct{ Summary string }
		Definitions map[string]any
	}
	if err := json.Unmarshal(hubv1.OpenAPI, &doc); err != nil || len(doc.Paths) < 40 {
		t.Fatalf("%d paths: %v", len(doc.Paths), err)
	}
	for path, methods := range doc.Paths {
		for method, call := range methods {
			if !strings.Contains(page, `<span class="method">`+strings.ToUpper(method)+"</span>"+html.EscapeString(path)+"</code>") {
				t.Errorf("%s %s is not on the page", method, path)
			}
			if call.Summary != "" && !strings.Contains(html.UnescapeString(page), call.Summary) {
				t.Errorf("%s %s: what it does is not on the page: %s", method, path, call.Summary)
			}
		}
	}
	for name := range doc.Definitions {
		if !strings.Contains(page, `<h3 id="`+name+`">`) {
			t.Errorf("message %s is not on the page", name)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("there is no #%s", link[1])
		}
	}
	policy := a.header.Get("Content-Security-Policy")
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	if bad := regexp.MustCompile(`<script|<link|<[^>]* (src|style|on[a-z]+)=`).FindString(page); bad != "" {
		t.Errorf("the page has %q", bad)
	}
}
