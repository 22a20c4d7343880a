package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/login"
)

const (
	// questionCookie holds a sign-in that is under way at an identity provider.
	questionCookie = "__Host-yardarm-signin"
	// questionLife is for people to find their second factor in.
	questionLife = 10 * time.Minute
	// signInPage is where a provider sends the browser back to. It is one of the pages, which hands what came in its URL to POST /session.
	signInPage = "/signin"
	// maxQuestions is how many questions to providers may be under way at a time, since nobody is known yet who has them asked.
	maxQuestions = 16
	// questionTime bounds one: discovery, keys, and the exchange of a code.
	questionTime = 20 * time.Second
	// providerAge is after how long a provider is asked again how it is to be spoken with.
	providerAge = time.Hour
	// askAgain is how long one that could not be reached is left alone.
	askAgain = 5 * time.Second
)

// question is a sign-in that is under way, in a browser's cookie.
type question struct {
	login.Question
	Provider string `json:"provider"`
	// Ends is when it is too late, in seconds since 1970.
	Ends int64 `json:"ends"`
}

// ask serves POST /session/signin: a page gets the URL of a provider to go to, and its browser what the answer has to fit to. A sign-in that another site
// begins would be an answer to no question.
func (s *sessions) ask(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Provider string `json:"provider"`
	}
	err := s.fromPage(r)
	if err == nil && json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&in) != nil {
		err = status.Error(codes.InvalidArgument, "the body must name a provider")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	var address string
	err = s.providers.with(r.Context(), in.Provider, func(_ context.Context, c *login.Client) error {
		// By the name that the browser has for the hub; the provider knows which it may be.
		q, url := c.Question("https://" + r.Host + signInPage)
		address = url
		return s.questions.put(w, r, question{q, in.Provider, s.now().Add(questionLife).Unix()}, questionLife)
	})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"url": address})
}

// answer makes a session of what a browser came back with from a provider. It counts once.
func (s *sessions) answer(w http.ResponseWriter, r *http.Request, text string) (session, error) {
	var q question
	asked := s.questions.take(r, &q) && s.now().Unix() < q.Ends
	s.questions.clear(w, r)
	values, err := url.ParseQuery(text)
	if !asked || err != nil {
		return session{}, status.Error(codes.Unauthenticated, "no sign-in is under way in this browser, or it took too long; sign in again")
	}
	out := session{Provider: q.Provider}
	err = s.providers.with(r.Context(), q.Provider, func(ctx context.Context, c *login.Client) error {
		tokens, err := c.Redeem(ctx, q.Question, values)
		out.take(tokens)
		return err
	})
	return out, err
}

// providers are the identity providers by which people sign in to pages. Safe for concurrent use.
type providers struct {
	// known may be nil.
	known Providers
	// places bounds the questions that are under way.
	places  chan struct{}
	reading singleflight.Group

	// mu guards what is known of providers, by their names.
	mu   sync.Mutex
	have map[string]reached
}

// reached is what came of asking a provider how it is to be spoken with.
type reached struct {
	provider login.Provider
	client   *login.Client
	err      error
	until    time.Time
}

func newProviders(known Providers) *providers {
	return &providers{known: known, places: make(chan struct{}, maxQuestions), have: map[string]reached{}}
}

func (p *providers) pages() []login.Provider {
	if p.known == nil {
		return nil
	}
	return p.known.Pages()
}

// announcement says how to sign in, to the pages too where there are sessions.
func (p *providers) announcement(sessions bool) (a login.Announcement) {
	if p.known == nil {
		return a
	}
	a.Providers = p.known.Login()
	if sessions {
		for _, one := range p.pages() {
			a.Pages = append(a.Pages, one.Name)
		}
	}
	return a
}

// with calls fn to speak with a provider. Errors are as callers get them: what the provider has refused lets nobody in.
func (p *providers) with(ctx context.Context, name string, fn func(context.Context, *login.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return status.Error(codes.ResourceExhausted, "too many people are signing in; try again in a moment")
	}
	client, err := p.client(ctx, name)
	if err == nil {
		err = fn(ctx, client)
	}
	var refused *login.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return status.Error(codes.Unauthenticated, refused.Reason)
	case status.Code(err) != codes.Unknown:
		return err
	}
	return status.Error(codes.Unavailable, err.Error())
}

// client answers how a provider is spoken with, which all who ask at a time find out once.
func (p *providers) client(ctx context.Context, name string) (*login.Client, error) {
	for _, one := range p.pages() {
		if one.Name != name {
			continue
		}
		if have, ok := p.recent(one); ok {
			return have.client, have.err
		}
		result := p.reading.DoChan(name, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionTime)
			defer cancel()
			client, err := login.New(ctx, one)
			return p.keep(reached{provider: one, client: client, err: err}), nil
		})
		select {
		case r := <-result:
			have := r.Val.(reached)
			return have.client, have.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, status.Error(codes.InvalidArgument, "nobody signs in to the pages by a provider of that name; /.well-known/yardarm says by which")
}

// recent is what is known of a provider as it is configured now.
func (p *providers) recent(one login.Provider) (reached, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, ok := p.have[one.Name]
	return have, ok && time.Now().Before(have.until) && reflect.DeepEqual(have.provider, one)
}

// keep keeps it for a while. A provider that cannot be reached any more is spoken with as before, unless another client is meant.
func (p *providers) keep(r reached) reached {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.have[r.provider.Name]
	r.until = time.Now().Add(providerAge)
	if r.err != nil {
		r.until = time.Now().Add(askAgain)
	}
	switch {
	case before.client == nil:
	case r.err != nil && reflect.DeepEqual(before.provider, r.provider):
		r.client, r.err = before.client, nil
	default:
		before.client.Close() // what is under way goes on
	}
	p.have[r.provider.Name] = r
	return r
}

// close ends the connections to providers.
func (p *providers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, have := range p.have {
		if have.client != nil {
			have.client.Close()
		}
	}
}
