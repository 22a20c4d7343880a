package gateway

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// sessionCookie holds a page's credential. Browsers take a cookie with this prefix from its own host and over TLS only.
	sessionCookie = "__Host-yardarm"
	// sessionName is what a session is sealed under.
	sessionName = "page-session"
	// sessionLife is a working day: then people show their credential again.
	sessionLife = 12 * time.Hour
	// pageHeader is sent by the pages with each call. No form and no link can send it, and a script of another origin would have to be allowed to.
	pageHeader = "X-Yardarm-Page"
	// maxSignIn bounds the body of a sign-in, in bytes: a token fits many times.
	maxSignIn = 16 << 10
)

// errNotPage is for what looks like a page of somebody else's.
var errNotPage = status.Error(codes.PermissionDenied, "a browser's credential counts for the hub's own pages only; elsewhere, send `Authorization: Bearer TOKEN`")

// Sealer encrypts what only this hub is to read, under a name.
type Sealer interface {
	Seal(name string, plaintext []byte) (*storev1.SealedSecret, error)
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// sessions let a browser call the API. Its scripts never have a credential: a cookie that they cannot read holds it, sealed, and the gateway puts it into
// the Authorization header. The hub keeps nothing, so a session outlives its restart; a token that is revoked ends it, since each call shows the token.
//
// Since a browser sends a cookie on its own, it counts only in a call that a page of this hub has made: [pageHeader] says so, and what changes
// something must come from the same origin.
type sessions struct {
	sealer  Sealer
	fleet   hubv1.FleetServiceClient
	links   *links
	now     func() time.Time
	origins *http.CrossOriginProtection
	refuse  func(http.ResponseWriter, *http.Request, error)
}

// signIn is the body of a sign-in: a token, or the code of a sign-in link.
type signIn struct {
	Token string `json:"token"`
	Code  string `json:"code"`
}

// begin serves POST /session.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request) {
	if err := s.fromPage(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	var in signIn
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSignIn)).Decode(&in); err != nil || (in.Token == "") == (in.Code == "") {
		s.refuse(w, r, status.Error(codes.InvalidArgument, "the body must be a token, or the code of a sign-in link"))
		return
	}
	token := in.Token
	if in.Code != "" {
		var ok bool
		if token, ok = s.links.redeem(in.Code, s.now()); !ok {
			s.refuse(w, r, status.Error(codes.Unauthenticated, "the link has been used, or is too old; `yardarm dashboard` makes another"))
			return
		}
	}
	if err := s.known(r.Context(), token); err != nil {
		s.refuse(w, r, err)
		return
	}
	value, err := s.seal(token)
	if err != nil {
		s.refuse(w, r, status.Error(codes.Internal, "the session cannot be sealed; the hub's log says why"))
		return
	}
	http.SetCookie(w, cookie(value, int(sessionLife/time.Second)))
	w.WriteHeader(http.StatusNoContent)
}

// end serves DELETE /session.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if err := s.fromPage(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	http.SetCookie(w, cookie("", -1))
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
		c, err := r.Cookie(sessionCookie)
		if err != nil {
			// A browser shows a client certificate on its own, too, whoever has made the call.
			if s.origins.Check(r) != nil {
				s.refuse(w, r, errNotPage)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		if err := s.fromPage(r); err != nil {
			s.refuse(w, r, err)
			return
		}
		token, ok := s.open(c.Value)
		if !ok {
			s.refuse(w, r, status.Error(codes.Unauthenticated, "the session has ended; sign in again"))
			return
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Del("Cookie")
		next.ServeHTTP(w, r)
	})
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

// A session, before it is sealed: when it ends (seconds since 1970, 8 bytes), the token.
func (s *sessions) seal(token string) (string, error) {
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(sessionLife).Unix()))
	sealed, err := s.sealer.Seal(sessionName, append(plain, token...))
	if err != nil {
		return "", err
	}
	raw, err := proto.Marshal(sealed)
	return base64.RawURLEncoding.EncodeToString(raw), err
}

func (s *sessions) open(value string) (token string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	var sealed storev1.SealedSecret
	if err = errors.Join(err, proto.Unmarshal(raw, &sealed)); err != nil {
		return "", false
	}
	plain, err := s.sealer.Open(sessionName, &sealed)
	if err != nil || len(plain) < 8 || s.now().Unix() >= int64(binary.BigEndian.Uint64(plain)) {
		return "", false
	}
	return string(plain[8:]), true
}

func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}
