//go:build linux

package outbound

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
)

// search looks for the clusters' credentials at the hub. That it finds what is there shows a token that is then planted.
func (w *world) search() {
	w.t.Helper()
	const planted = "planted"
	var s, once search
	for name, p := range w.at {
		w.credentials(name, &s)
		token, err := certs.ParseToken(p.token)
		w.must(err)
		once.add(name+": enrolment token", token.Secret)
	}
	seed := "0f9c7a1e-not-a-real-token-5be24d83"
	s.add(planted, []byte(seed))

	look := func(s *search, memory bool) map[string][]string {
		backup := filepath.Join(w.t.TempDir(), "hub.backup")
		w.must(w.hub.Run(w.ctx, "backup", "--data-dir", w.hub.DataDir(), backup).Err())
		found := map[string][]string{}
		note := func(where string, secrets map[string]bool, err error) {
			w.must(err)
			for secret := range secrets {
				found[secret] = append(found[secret], where)
			}
		}
		secrets, size, err := s.folder(w.hub.DataDir())
		note("database", secrets, err)
		w.t.Logf("searched %d KiB of the hub's folder", size>>10)
		secrets, err = s.file(backup)
		note("backup", secrets, err)
		secrets, err = s.file(w.hub.Process().Log())
		note("log", secrets, err)
		if memory {
			secrets, size, err = s.memory(w.hub.Process().PID())
			note("memory", secrets, err)
			w.t.Logf("searched %d MiB of the hub's memory", size>>20)
		}
		return found
	}
	for secret, where := range look(&s, true) {
		w.t.Errorf("%s is in the hub's %s", secret, strings.Join(where, ", "))
	}
	// The hub has made the token, and so had it in memory; it is of no use any more.
	for secret, where := range look(&once, false) {
		w.t.Errorf("%s is in the hub's %s", secret, strings.Join(where, ", "))
	}
	w.do("label", "cluster", straight, "note="+seed)
	if found := look(&s, true)[planted]; !slices.Contains(found, "database") || !slices.Contains(found, "backup") || !slices.Contains(found, "memory") {
		w.t.Errorf("what was planted was found only in %q", found)
	}
}

// credentials has all that opens a cluster searched for, and its spoke's key.
func (w *world) credentials(name string, s *search) {
	w.t.Helper()
	p := w.at[name]
	plane := filepath.Dir(p.admin())
	read := func(path string) []byte {
		text, err := os.ReadFile(path)
		w.must(err)
		return text
	}
	for line := range strings.Lines(string(read(filepath.Join(plane, "tokens.csv")))) {
		token, rest, _ := strings.Cut(line, ",")
		user, _, _ := strings.Cut(rest, ",")
		s.add(name+": token of "+user, []byte(token))
	}
	var config struct {
		Users []struct{ User struct{ Token string } }
	}
	w.must(json.Unmarshal(read(filepath.Join(p.dir, "kubeconfig")), &config))
	// What others could know of it is not looked for: how such tokens begin.
	signature := config.Users[0].User.Token[strings.LastIndex(config.Users[0].User.Token, ".")+1:]
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	w.must(err)
	s.add(name+": service account's token", []byte(signature))
	s.add(name+": service account's token", raw)
	for _, file := range []string{"apiserver.key", "service-accounts.key"} {
		block, _ := pem.Decode(read(filepath.Join(plane, file)))
		key, err := x509.ParseECPrivateKey(block.Bytes)
		w.must(err)
		w.key(s, name+": "+file, key)
	}
	kept, err := enroll.DecodeKept(read(filepath.Join(p.dir, "state", "identity", "identity.json")))
	w.must(err)
	key, err := certs.ParseKey(kept.Key)
	w.must(err)
	w.key(s, name+": spoke's key", key.(*ecdsa.PrivateKey))
}

// key has the secret part of a key searched for: the rest of its encoding is public.
func (w *world) key(s *search, name string, key *ecdsa.PrivateKey) {
	w.t.Helper()
	secret, err := key.Bytes()
	w.must(err)
	s.add(name, secret)
}
