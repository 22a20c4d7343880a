package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/login"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	// sessionCookie holds a page's credential.
	sessionCookie = "__Host-yardarm"
	// sessionLife is a working day: then people show their credential again.
	sessionLife = 12 * time.Hour
	// pageHeader is sent by the pages with each call. No form and no link can send it, and a script of another origin would have to be allowed to.
	pageHeader = "X-Yardarm-Page"
	// maxSignIn bounds the body of a sign-in, in bytes: a token fits many times.
	maxSignIn = 16 << 10
)

// errNotPage is for what looks like a page of somebody else's.
var errNotPage = status.Error(codes.PermissionDenied, "a browser's credential counts for the hub's own pages only; elsewhere, send `Authorization: Bearer TOKEN`")

// sessions let a browser call the API. Its scripts never have a credential: a cookie that they cannot read holds it, sealed, and the gateway puts it into
// the Authorization header. The hub keeps nothing, so a session outlives its restart; a token that is revoked ends it, since each call shows the token.
// What an identity provider has given is renewed there, as long as the provider lets it (renew.go).
//
// Since a browser sends a cookie on its own, it counts only in a call that a page of this hub has made: [pageHeader] says so, and what changes
// something must come from the same origin.
type sessions struct {
	// jar and questions are what browsers keep: sessions, and sign-ins that are under way.
	jar, questions jar
	fleet          hubv1.FleetServiceClient
	links          *links
	providers      *providers
	renewals       *renewals
	now            func() time.Time
	origins        *http.CrossOriginProtection
	refuse         func(http.ResponseWriter, *http.Request, error)
	log            *slog.Logger
}

func newSessions(cfg Config, conn *grpc.ClientConn, by *providers, refuse func(http.ResponseWriter, *http.Request, error)) *sessions {
	return &sessions{
		jar: jar{cfg.Sealer, sessionCookie}, questions: jar{cfg.Sealer, questionCookie}, fleet: hubv1.NewFleetServiceClient(conn), links: newLinks(),
		providers: by, renewals: newRenewals(), now: time.Now, origins: http.NewCrossOriginProtection(), refuse: refuse, log: cfg.Logger,
	}
}

// session is what a browser keeps.
type session struct {
	// Ends is when it does, in seconds since 1970.
	Ends int64 `json:"ends"`
	// Token is the credential that its calls show.
	Token string `json:"token"`
	// Provider has given it, if it is an ID token: Expires is when it does, in seconds since 1970, and Refresh gets another one, if there is one.
	Provider string `json:"provider,omitempty"`
	Expires  int64  `json:"expires,omitempty"`
	Refresh  string `json:"refresh,omitempty"`
}

// take takes what a provider has given.
func (s *session) take(t login.Tokens) {
	s.Token, s.Refresh, s.Expires = t.ID, t.Refresh, t.Expires.Unix()
}

// signIn is the body of a sign-in: a token, the code of a sign-in link, or what a browser came back with from an identity provider, the query of its URL.
type signIn struct {
	Token  string `json:"token"`
	Code   string `json:"code"`
	Answer string `json:"answer"`
}

// register adds the paths of sessions.
func (s *sessions) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /session", s.show)
	mux.HandleFunc("POST /session", s.begin)
	mux.HandleFunc("DELETE /session", s.end)
	mux.HandleFunc("POST /session/link", s.link)
	mux.HandleFunc("POST /session/signin", s.ask)
}

// begin serves POST /session.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request) {
	have, err := s.beginning(w, r)
	if err == nil {
		err = s.known(r.Context(), have.Token)
	}
	if err == nil {
		have.Ends = s.now().Add(sessionLife).Unix()
		err = s.put(w, r, have)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// beginning is the session of somebody who shows one of the three.
func (s *sessions) beginning(w http.ResponseWriter, r *http.Request) (session, error) {
	if err := s.fromPage(r); err != nil {
		return session{}, err
	}
	var in signIn
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&in)
	switch {
	case err == nil && in.Token != "" && in.Code == "" && in.Answer == "":
		return session{Token: in.Token}, nil
	case err == nil && in.Token == "" && in.Code != "" && in.Answer == "":
		token, ok := s.links.redeem(in.Code, s.now())
		if !ok {
			return session{}, status.Error(codes.Unauthenticated, "the link has been used, or is too old; `yardarm dashboard` makes another")
		}
		return session{Token: token}, nil
	case err == nil && in.Token == "" && in.Code == "" && in.Answer != "":
		return s.answer(w, r, in.Answer)
	}
	return session{}, status.Error(codes.InvalidArgument, "the body must be a token, the code of a sign-in link, or the answer of an identity provider")
}

// show serves GET /session: when it ends, unless its credential does before; and whether that is renewed meanwhile.
func (s *sessions) show(w http.ResponseWriter, r *http.Request) {
	have, err := s.of(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ends": time.Unix(have.Ends, 0).UTC().Format(time.RFC3339), "renewed": have.Refresh != ""})
}

// end serves DELETE /session.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if err := s.fromPage(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	var have session
	if s.jar.take(r, &have) && have.Refresh != "" {
		err := s.providers.with(r.Context(), have.Provider, func(ctx context.Context, c *login.Client) error { return c.Revoke(ctx, have.Refresh) })
		if err != nil {
			s.log.Warn("a sign-in has ended here, but not at its identity provider", "provider", have.Provider, "error", err)
		}
	}
	s.jar.clear(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// link serves POST /session/link: whoever shows a token gets a code that signs in a browser as them, once.
func (s *sessions) link(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(r)
	if !ok {
		s.refuse(w, r, status.Error(codes.Unauthenticated, "a credential is needed; send it as `Authorization: Bearer TOKEN`"))
		return
	}
	if err := s.known(r.Context(), token); err != nil {
		s.refuse(w, r, err)
		return
	}
	code, err := s.links.make(token, s.now())
	if err != nil {
		s.refuse(w, r, status.Error(codes.ResourceExhausted, err.Error()))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"code": code})
}

// wrap lets a session's calls through to the API as those of its credential.
func (s *sessions) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			next.ServeHTTP(w, r)
			return
		}
		if !s.jar.has(r) {
			// A browser shows a client certificate on its own, too, whoever has made the call.
			if s.origins.Check(r) != nil {
				s.refuse(w, r, errNotPage)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		have, err := s.of(w, r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+have.Token)
		r.Header.Del("Cookie")
		next.ServeHTTP(w, r)
	})
}

// of answers the session that a page's call belongs to, with a credential that counts for a while yet.
func (s *sessions) of(w http.ResponseWriter, r *http.Request) (session, error) {
	if err := s.fromPage(r); err != nil {
		return session{}, err
	}
	var have session
	if !s.jar.take(r, &have) || s.now().Unix() >= have.Ends {
		return session{}, status.Error(codes.Unauthenticated, "the session has ended; sign in again")
	}
	next, err := s.fresh(r.Context(), have)
	if err == nil && next != have {
		err = s.put(w, r, next)
	}
	return next, err
}

// put has the browser keep a session.
func (s *sessions) put(w http.ResponseWriter, r *http.Request, have session) error {
	if err := s.jar.put(w, r, have, time.Unix(have.Ends, 0).Sub(s.now())); err != nil {
		return status.Errorf(codes.Internal, "keep the session: %v", err)
	}
	return nil
}

// fromPage refuses what a page of this hub has not sent.
func (s *sessions) fromPage(r *http.Request) error {
	if r.Header.Get(pageHeader) == "" || s.origins.Check(r) != nil {
		return errNotPage
	}
	return nil
}

// known tells whether the hub knows a credential.
func (s *sessions) known(ctx context.Context, token string) error {
	_, err := s.fleet.WhoAmI(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), &hubv1.WhoAmIRequest{})
	return err
}
