package signin

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/yardarm-dev/yardarm/e2e/provider"
)

// browser is somebody with a browser, which knows the provider's certificate.
type browser struct {
	t    *testing.T
	http *http.Client
}

func newBrowser(t *testing.T, p *provider.Provider) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: p.TLS}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, http: &http.Client{Jar: jar, Transport: transport}}
}

// visit opens a page and fills in forms until there are no more: who signs in, any password, and the code of another device. It answers the last page.
func (b *browser) visit(address, who, code string) string {
	b.t.Helper()
	resp, err := b.http.Get(address)
	for range 10 { // pages
		if err != nil {
			b.t.Fatal(err)
		}
		body, readErr := io.ReadAll(resp.Body)
		resp.Body.Close()
		if readErr != nil || resp.StatusCode >= http.StatusBadRequest {
			b.t.Fatalf("%s answers %s, %v:\n%s", resp.Request.URL.Path, resp.Status, readErr, body)
		}
		form := firstForm(b.t, string(body))
		if form == nil {
			return string(body)
		}
		for name, value := range map[string]string{"login": who, "password": "any", "user_code": code} {
			if _, asked := form.values[name]; asked && form.values.Get(name) == "" {
				form.values.Set(name, value)
			}
		}
		action, err2 := resp.Request.URL.Parse(form.action)
		if err2 != nil {
			b.t.Fatal(err2)
		}
		resp, err = b.http.PostForm(action.String(), form.values)
	}
	b.t.Fatal("there are forms without end")
	return ""
}

// form is what a page wants to know.
type form struct {
	action string
	values url.Values
}

func firstForm(t *testing.T, page string) *form {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		f := &form{action: attribute(n, "action"), values: url.Values{}}
		for in := range n.Descendants() {
			if in.Type == html.ElementNode && in.Data == "input" && attribute(in, "name") != "" {
				f.values.Set(attribute(in, "name"), attribute(in, "value"))
			}
		}
		return f
	}
	return nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// link is the address that begins so in what a command says.
func link(said, prefix string) string {
	_, rest, ok := strings.Cut(said, prefix)
	if !ok {
		return ""
	}
	rest, _, ended := strings.Cut(rest, "\n")
	if !ended {
		return "" // there is more to come
	}
	return fmt.Sprint(prefix, rest)
}
