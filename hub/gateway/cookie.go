package gateway

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// maxCookie is what browsers take of a cookie, in bytes, without its name and attributes.
	maxCookie = 3800
	// maxCookies is over how many a secret may be spread: the tokens of people in many groups are longer than a cookie.
	maxCookies = 4
)

// Sealer encrypts what only this hub is to read, under a name.
type Sealer interface {
	Seal(name string, plaintext []byte) (*storev1.SealedSecret, error)
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// jar keeps one kind of secret in browsers: sealed, in cookies that no script can read, that go back to this host alone, over TLS, and only with what its
// own pages ask for. The name begins with __Host-, by which browsers hold to the host and to TLS.
//
//	NAME     the first 3,800 bytes of base64(SealedSecret(JSON))
//	NAME-1   the next ones, if there are more; up to NAME-3
type jar struct {
	sealer Sealer
	name   string
}

// put sends a secret for as long as life, in the place of the one that the request has brought.
func (j jar) put(w http.ResponseWriter, r *http.Request, secret any, life time.Duration) error {
	plain, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	sealed, err := j.sealer.Seal(j.name, plain)
	if err != nil {
		return err
	}
	raw, err := proto.Marshal(sealed)
	if err != nil {
		return err
	}
	value := base64.RawURLEncoding.EncodeToString(raw)
	if len(value) > maxCookies*maxCookie {
		return fmt.Errorf("it has %d bytes, and browsers keep %d; have the identity provider name fewer groups", len(value), maxCookies*maxCookie)
	}
	for i := range maxCookies {
		part := value[:min(len(value), maxCookie)]
		value = value[len(part):]
		if part != "" {
			j.set(w, i, part, life)
		} else if _, err := r.Cookie(j.part(i)); err == nil {
			j.set(w, i, "", -time.Second)
		}
	}
	return nil
}

// take reads the secret that a request brings. There is none where nobody has put one, or not this hub.
func (j jar) take(r *http.Request, secret any) bool {
	value := ""
	for i := range maxCookies {
		c, err := r.Cookie(j.part(i))
		if err != nil {
			break
		}
		value += c.Value
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	var sealed storev1.SealedSecret
	if err = errors.Join(err, proto.Unmarshal(raw, &sealed)); err != nil {
		return false
	}
	plain, err := j.sealer.Open(j.name, &sealed)
	return err == nil && json.Unmarshal(plain, secret) == nil
}

// has tells whether a request brings something, good or not.
func (j jar) has(r *http.Request) bool {
	_, err := r.Cookie(j.name)
	return err == nil
}

// clear takes it out of the browser.
func (j jar) clear(w http.ResponseWriter, r *http.Request) {
	for i := range maxCookies {
		if _, err := r.Cookie(j.part(i)); err == nil || i == 0 {
			j.set(w, i, "", -time.Second)
		}
	}
}

func (j jar) part(i int) string {
	if i == 0 {
		return j.name
	}
	return fmt.Sprintf("%s-%d", j.name, i)
}

func (j jar) set(w http.ResponseWriter, i int, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: j.part(i), Value: value, Path: "/", MaxAge: int(life / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
