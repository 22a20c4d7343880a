package webhook

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

const secret = "the secret of webhooks"

// What `openssl dgst -sha256 -hmac "the secret of webhooks" FILE` says of the bodies in testdata, and of nothing.
const (
	ofGitHub  = "bfa8dfb528f9b4b1ce831a65394fb71e06ed28ef70fe952c46739d87f9e4b9e9"
	ofGitea   = "2e4efcbfae5174702a66bf231ce957b074e754f2b3ca244e272c16badd098f0f"
	ofNothing = "6d55a67c176f4c7f269bad617d5405496f42a942bf9434987bb4c0df32311977"
)

// headers are those that a server sends, one a line.
func headers(text string) http.Header {
	out := http.Header{"Content-Type": {"application/json"}}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			out.Add(name, value)
		}
	}
	return out
}

func TestCheck(t *testing.T) {
	gitea := "X-Gitea-Event: push\nX-Gitea-Signature: " + ofGitea + "\nX-Gogs-Signature: " + ofGitea + "\nX-Hub-Signature: sha1=aa\nX-Hub-Signature-256: sha256=" + ofGitea
	for _, test := range []struct {
		name, body, headers string
		want                error
	}{
		{"GitHub", "github.json", "X-GitHub-Event: push\nX-Hub-Signature: sha1=aa\nX-Hub-Signature-256: sha256=" + ofGitHub, nil},
		{"Gitea", "gitea.json", gitea, nil},
		{"Gitea of old", "gitea.json", "X-Gitea-Event: push\nX-Gitea-Signature: " + ofGitea, nil},
		{"Forgejo", "gitea.json", "X-Forgejo-Event: push\nX-Forgejo-Signature: " + ofGitea + "\n" + gitea, nil},
		{"GitLab", "gitlab.json", "X-Gitlab-Event: Push Hook\nX-Gitlab-Token: " + secret, nil},
		{"anybody", "github.json", "X-Yardarm-Signature: sha256=" + ofGitHub, nil},
		{"anybody, with nothing to say", "", "X-Yardarm-Signature: sha256=" + ofNothing, nil},

		{"no header", "github.json", "X-GitHub-Event: push", ErrRefused},
		{"SHA-1 alone", "github.json", "X-Hub-Signature: sha1=aa", ErrRefused},
		{"another body", "gitea.json", "X-Hub-Signature-256: sha256=" + ofGitHub, ErrRefused},
		{"no prefix", "github.json", "X-Hub-Signature-256: " + ofGitHub, ErrRefused},
		{"a prefix too many", "gitea.json", "X-Gitea-Signature: sha256=" + ofGitea, ErrRefused},
		{"an empty signature, as of a server without a secret", "gitea.json", "X-Gitea-Signature: \nX-Hub-Signature-256: sha256=", ErrRefused},
		{"half of it", "github.json", "X-Yardarm-Signature: sha256=" + ofGitHub[:32], ErrRefused},
		{"more than it", "github.json", "X-Yardarm-Signature: sha256=" + ofGitHub + "00", ErrRefused},
		{"a good one beside one that is not", "gitea.json", gitea + "\nX-Yardarm-Signature: sha256=" + ofGitHub, ErrRefused},
		{"two, of which one is good", "github.json", "X-Hub-Signature-256: sha256=" + ofGitHub + "\nX-Hub-Signature-256: sha256=" + ofGitea, ErrRefused},
		{"another token", "gitlab.json", "X-Gitlab-Token: " + secret + "x", ErrRefused},
		{"a signature as the token", "github.json", "X-Gitlab-Token: " + ofGitHub, ErrRefused},
		{"the secret as a signature", "github.json", "X-Gitea-Signature: " + secret, ErrRefused},
	} {
		var body []byte
		if test.body != "" {
			var err error
			if body, err = os.ReadFile(filepath.Join("testdata", test.body)); err != nil {
				t.Fatal(err)
			}
		}
		rest := bytes.NewReader(body)
		if err := Check(headers(test.headers), rest, []byte(secret)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if rest.Len() > 0 {
			t.Errorf("%s: it was judged before it was read", test.name)
		}
		if err := Check(headers(test.headers), bytes.NewReader(body), nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%s, where there is no secret: %v", test.name, err)
		}
	}
}

// TestExample is the one of GitHub's documentation.
func TestExample(t *testing.T) {
	header := headers("X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if err := Check(header, strings.NewReader("Hello, World!"), []byte("It's a Secret to Everybody")); err != nil {
		t.Error(err)
	}
}

// What nothing is signed with opens nothing, though anybody can sign with it.
func TestNoSecret(t *testing.T) {
	// printf '' | openssl dgst -sha256 -hmac ''
	signed := "X-Yardarm-Signature: sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
	if err := Check(headers(signed), http.NoBody, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	if err := Check(http.Header{"X-Gitlab-Token": {""}}, http.NoBody, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestUnread(t *testing.T) {
	body := io.MultiReader(strings.NewReader("Hello"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := Check(headers("X-Gitlab-Token: "+secret), body, []byte(secret)); !errors.Is(err, ErrUnread) || errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
}

// FuzzCheck sends what nobody has signed.
func FuzzCheck(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256="+ofGitHub, []byte("{}"))
	f.Add("X-Gitlab-Token", "", []byte(nil))
	f.Add("X-Yardarm-Signature", "sha256=", []byte("x"))
	f.Fuzz(func(t *testing.T, name, value string, body []byte) {
		if err := Check(http.Header{http.CanonicalHeaderKey(name): {value}}, bytes.NewReader(body), []byte("that nobody can guess, as it is said nowhere")); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %q is taken: %v", name, value, err)
		}
	})
}
