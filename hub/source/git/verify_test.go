package git

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// key is one that somebody signs with.
type key struct{ private, public string }

func newKey(t *testing.T) key {
	private, public := gittest.NewKey(t)
	return key{private, public}
}

func newRSAKey(t *testing.T) key {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(k, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key{string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(public))}
}

// fingerprint is what ssh-keygen -l says of a key.
func (k key) fingerprint(t *testing.T) string {
	t.Helper()
	public, err := ParseKey(k.public)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(public)
}

func signedBy(mode string, signers ...*yardarmv1.GitSigner) *yardarmv1.GitVerification {
	return &yardarmv1.GitVerification{Mode: mode, Signers: signers}
}

func ada(keys ...key) *yardarmv1.GitSigner {
	s := &yardarmv1.GitSigner{Name: "ada@example.com"}
	for _, k := range keys {
		s.Keys = append(s.Keys, k.public)
	}
	return s
}

// keygen is ssh-keygen, told to sign otherwise than Git says.
func keygen(t *testing.T, args string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keygen")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nfor last in \"$@\"; do :; done\nexec ssh-keygen -Y sign -f \"$6\" "+args+" \"$last\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// rewrite makes another object of one that is there, and answers its hash.
func (w *world) rewrite(kind, object string, edit func(string) string) string {
	w.Helper()
	file := filepath.Join(w.TempDir(), "object")
	if err := os.WriteFile(file, []byte(edit(w.Git("cat-file", kind, object)+"\n")), 0o600); err != nil {
		w.Fatal(err)
	}
	return w.Git("hash-object", "-t", kind, "-w", "--literally", file)
}

// TestVerifyCommit takes commits that Git has signed for those who may sign, and no others. Each refusal names the commit.
func TestVerifyCommit(t *testing.T) {
	w := newWorld(t)
	here, other := newKey(t), newKey(t)
	ecdsa, ecdsaPublic := gittest.NewOldKey(t)
	old, bob := key{ecdsa, ecdsaPublic}, newRSAKey(t)
	trusted := signedBy("", ada(here, old), &yardarmv1.GitSigner{Name: "bob", Keys: []string{bob.public}})
	text := 0
	commit := func() string {
		text++
		return w.Commit("next", "a.yaml", strings.Repeat("x", text))
	}
	unsigned := commit()
	signature := func(object string) string {
		raw := w.Git("cat-file", "commit", object)
		_, after, _ := strings.Cut(raw, "\ngpgsig ")
		signature, _, _ := strings.Cut(after, "-----END SSH SIGNATURE-----")
		return signature
	}
	for _, test := range []struct {
		name string
		// make makes what main is to be.
		make         func() string
		verify       *yardarmv1.GitVerification
		signer, says string
	}{
		{"nobody asks", func() string { return unsigned }, nil, "", ""},
		{"not signed", func() string { return unsigned }, trusted, "", "is not signed, and the source wants it to be"},
		{"by a signer", func() string { w.SignWith(here.private, ""); return commit() }, trusted, "ada@example.com " + here.fingerprint(t), ""},
		{"by a signer's other key, ECDSA", func() string { w.SignWith(old.private, ""); return commit() }, trusted, "ada@example.com " + old.fingerprint(t), ""},
		{"by another signer, with RSA", func() string { w.SignWith(bob.private, ""); return commit() }, trusted, "bob " + bob.fingerprint(t), ""},
		{"of the other hash", func() string { w.SignWith(here.private, keygen(t, "-n git -O hashalg=sha256")); return commit() }, trusted, "ada@example.com " + here.fingerprint(t), ""},
		{"by somebody else", func() string { w.SignWith(other.private, ""); return commit() }, trusted, "", "none of the source's signers' (" + other.fingerprint(t) + ")"},
		{"for another purpose", func() string { w.SignWith(here.private, keygen(t, "-n file")); return commit() }, trusted, "", `is for "file", and not for "git"`},
		{"tampered with", func() string {
			w.SignWith(here.private, "")
			return w.rewrite("commit", commit(), func(raw string) string { return strings.Replace(raw, "next", "NEXT", 1) })
		}, trusted, "", "is not of what is there"},
		{"with another tree", func() string {
			tree := w.Git("rev-parse", "HEAD^{tree}")
			return w.rewrite("commit", commit(), func(raw string) string { return strings.Replace(raw, raw[len("tree "):len("tree ")+40], tree, 1) })
		}, trusted, "", "is not of what is there"},
		{"with the signature of another", func() string {
			before := signature(commit())
			return w.rewrite("commit", commit(), func(raw string) string { return strings.Replace(raw, signature("HEAD"), before, 1) })
		}, trusted, "", "is not of what is there"},
		{"with a second tree in its signature", func() string {
			tree := w.Git("rev-parse", unsigned+"^{tree}")
			return w.rewrite("commit", commit(), func(raw string) string {
				return strings.Replace(raw, "\ngpgsig ", "\ngpgsig-sha256 x\ntree "+tree+"\ngpgsig ", 1)
			})
		}, trusted, "", "is not of what is there"},
		{"not by SSH", func() string {
			return w.rewrite("commit", unsigned, func(raw string) string {
				return strings.Replace(raw, "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----\n\n", 1)
			})
		}, trusted, "", "is not one of an SSH key"},
		{"damaged", func() string {
			return w.rewrite("commit", unsigned, func(raw string) string {
				return strings.Replace(raw, "\n\n", "\ngpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n\n", 1)
			})
		}, trusted, "", "cannot be read"},
		{"before its key counts", func() string { return commit() }, signedBy("commit", &yardarmv1.GitSigner{Name: "ada", Keys: []string{here.public}, ValidAfter: timestamppb.New(time.Now().Add(time.Hour))}),
			"", "the key of ada counts from"},
		{"after its key has counted", func() string { return commit() }, signedBy("commit", &yardarmv1.GitSigner{Name: "ada", Keys: []string{here.public}, ValidBefore: timestamppb.New(time.Now().Add(-time.Hour))}),
			"", "the key of ada has counted until"},
		{"while its key counts", func() string { return commit() }, signedBy("commit", &yardarmv1.GitSigner{Name: "ada", Keys: []string{here.public},
			ValidAfter: timestamppb.New(time.Now().Add(-time.Hour)), ValidBefore: timestamppb.New(time.Now().Add(time.Hour))}), "ada " + here.fingerprint(t), ""},
	} {
		hash := test.make()
		w.Git("update-ref", "refs/heads/main", hash)
		want := Want{Ref: &yardarmv1.GitRef{Branch: "main"}, Verify: test.verify}
		if test.says == "" {
			if c := w.fetchWant(want); c.Signer != test.signer || c.Hash != hash || c.Tree == nil {
				t.Errorf("%s: commit %s, signed by %q", test.name, c.Hash, c.Signer)
			}
			continue
		}
		err := w.refusedWant(want)
		if err.Reason != yardarmv1.SourceNotSigned || !strings.Contains(err.Message, test.says) || !strings.Contains(err.Message, hash) {
			t.Errorf("%s: %s: %s; want …%s… of commit %s", test.name, err.Reason, err.Message, test.says, hash)
		}
		w.Git("reset", "-q", "--hard", unsigned)
	}
}

// TestVerifyTag takes annotated tags that are signed, under their own names. The server may be hostile: what it calls a tag is its word alone.
func TestVerifyTag(t *testing.T) {
	w := newWorld(t)
	here, other := newKey(t), newKey(t)
	trusted := signedBy(yardarmv1.VerifyTag, ada(here))
	first := w.Commit("first", "a.yaml", "one")
	w.Git("tag", "light")
	w.Git("tag", "-a", "-m", "no signature", "annotated")
	w.SignWith(other.private, "")
	w.Git("tag", "-s", "-m", "by another", "others")
	w.SignWith(here.private, "")
	w.Git("tag", "-s", "-m", "one", "v1.0.0")
	w.Git("config", "commit.gpgsign", "false")
	second := w.Commit("second", "a.yaml", "two")
	w.Git("tag", "-s", "-m", "two", "v1.1.0")
	w.Git("update-ref", "refs/tags/v1.2.0", w.Git("rev-parse", "v1.0.0")) // an old one, by a newer name
	w.Git("tag", "-s", "-m", "of a tag", "nested", "v1.1.0")
	w.Git("update-ref", "refs/tags/moved", w.rewrite("tag", "v1.1.0", func(raw string) string { return strings.Replace(raw, second, first, 1) }))

	w.fetch(&yardarmv1.GitRef{Branch: "main"}) // so that the cache has a commit, and no tag of it
	for _, test := range []struct {
		ref          *yardarmv1.GitRef
		hash, signer string
		says         string
	}{
		{&yardarmv1.GitRef{Tag: "v1.0.0"}, first, "ada@example.com " + here.fingerprint(t), ""},
		{&yardarmv1.GitRef{Tag: "v1.1.0"}, second, "ada@example.com " + here.fingerprint(t), ""},
		{&yardarmv1.GitRef{Semver: ">=1.0 <1.2"}, second, "ada@example.com " + here.fingerprint(t), ""},
		{&yardarmv1.GitRef{Tag: "light"}, first, "", "is not annotated"},
		{&yardarmv1.GitRef{Tag: "annotated"}, first, "", "is not signed"},
		{&yardarmv1.GitRef{Tag: "others"}, first, "", "none of the source's signers'"},
		{&yardarmv1.GitRef{Semver: "1.x"}, first, "", `what is signed under tag "v1.2.0" (commit ` + first + `) is tag "v1.0.0"`},
		{&yardarmv1.GitRef{Tag: "nested"}, second, "", `what is signed under tag "nested"`},
		{&yardarmv1.GitRef{Tag: "moved"}, first, "", "is not of what is there"},
	} {
		want := Want{Ref: test.ref, Verify: trusted}
		if test.says == "" {
			if c := w.fetchWant(want); c.Signer != test.signer || c.Hash != test.hash {
				t.Errorf("%v: commit %s, signed by %q", test.ref, c.Hash, c.Signer)
			}
		} else if err := w.refusedWant(want); err.Reason != yardarmv1.SourceNotSigned || !strings.Contains(err.Message, test.says) || !strings.Contains(err.Message, test.hash) {
			t.Errorf("%v: %s: %s; want …%s… of commit %s", test.ref, err.Reason, err.Message, test.says, test.hash)
		}
	}
	// A commit that is signed does not make up for a tag that is not, nor the other way round.
	if err := w.refusedWant(Want{Ref: &yardarmv1.GitRef{Tag: "v1.1.0"}, Verify: signedBy(yardarmv1.VerifyCommit, ada(here))}); !strings.Contains(err.Message, "commit "+second+" is not signed") {
		t.Errorf("%s: %s", err.Reason, err.Message)
	}
}

func TestParseKey(t *testing.T) {
	k := newKey(t)
	for text, says := range map[string]string{
		k.public:                      "",
		"# ada's\n" + k.public + "\n": "",
		k.private:                     "is no public key",
		"":                            "is no public key",
		k.public + k.public:           "is no public key",
		`command="x" ` + k.public:     "is no public key",
		"ssh-dss AAAAB3NzaC1kc3M=":    "is no public key",
	} {
		_, err := ParseKey(text)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzSignature reads anything as a signature; what can be read is of nothing but what was signed.
func FuzzSignature(f *testing.F) {
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"))
	f.Add([]byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgJKxoLBJBivUPNTUJUSslQTt2hD\njozKvHarKeN8uYFqgAAAADZm9vAAAAAAAAAFMAAAALc3NoLWVkMjU1MTkAAABAKNC4IEbt\nTq0Fb56xhtuE1/lK9H9RZJfON4o6hE9R4ZGFX98gy0+fFJ/1d2/RxnZky0Y7GojwrZkrHT\nFgCqVWAQ==\n-----END SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, k, err := parseSignature(data)
		if err != nil {
			return
		}
		if k == nil || s.check(k, []byte("what nobody has signed")) == nil {
			t.Errorf("%q is a signature of what nobody has signed", data)
		}
	})
}
