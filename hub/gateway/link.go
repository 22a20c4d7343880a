package gateway

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// linkLife is for a browser to start in.
	linkLife = 2 * time.Minute
	// maxLinks is how many may be open at a time, which bounds their memory: one for each of many people who sign in at once.
	maxLinks = 256
)

var errLinks = errors.New("too many sign-in links are open; try again in a minute")

// links are the codes that sign a browser in, once and soon. They are in memory only: a hub that restarts forgets them.
type links struct {
	mu   sync.Mutex // guards all
	open map[string]link
}

type link struct {
	token string
	ends  time.Time
}

func newLinks() *links { return &links{open: make(map[string]link)} }

// make answers a code of 128 random bits or more for a token.
func (l *links) make(token string, now time.Time) (code string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for code, have := range l.open {
		if !now.Before(have.ends) {
			delete(l.open, code)
		}
	}
	if len(l.open) >= maxLinks {
		return "", errLinks
	}
	code = rand.Text()
	l.open[code] = link{token, now.Add(linkLife)}
	return code, nil
}

// redeem answers a code's token, and ends the code.
func (l *links) redeem(code string, now time.Time) (token string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, ok := l.open[code]
	delete(l.open, code)
	return have.token, ok && now.Before(have.ends)
}

// bearer is the token in a request's Authorization header.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}
