package api_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// people are users of an identity provider, by their tokens; the hub's own tokens count beside them.
type people struct {
	api.Authenticator
	known map[string]authz.Identity
	err   error
}

func (p *people) Authenticate(ctx context.Context, token string) (authz.Identity, error) {
	if who, ok := p.known[token]; ok {
		return who, p.err
	}
	return p.Authenticator.Authenticate(ctx, token)
}

// bindTo gives a role to any subject.
func bindTo(t *testing.T, h *apitest.Hub, name, role string, subject *yardarmv1.Subject) {
	t.Helper()
	apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.RoleBindingSpec{Role: role, Subjects: []*yardarmv1.Subject{subject}}}}})
}

// TestUsersOfProviders: bindings to users and their groups give them roles, a token of the same name has none of it, and a stream ends with the ID token.
func TestUsersOfProviders(t *testing.T) {
	gone := make(chan struct{})
	who := &people{known: map[string]authz.Identity{
		"ann":  {Kind: "User", Name: "corp:ann", Groups: []string{"corp:ops"}, Expires: time.Now().Add(time.Hour)},
		"bob":  {Kind: "User", Name: "corp:bob", Expires: time.Now().Add(time.Hour)},
		"soon": {Kind: "User", Name: "corp:bob", Expires: time.Now().Add(2 * time.Second)},
		"gone": {Kind: "User", Name: "corp:bob", Expires: time.Now().Add(time.Hour), Ended: gone},
	}}
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { who.Authenticator, c.Authenticator = c.Authenticator, who })
	ann, bob := h.As(t, "ann"), h.As(t, "bob")
	_, err := ann.ListBundles(t.Context(), &hubv1.ListBundlesRequest{})
	refused(t, err, codes.PermissionDenied, `user "corp:ann"`)
	bindTo(t, h, "ops", "operator", &yardarmv1.Subject{Kind: "Group", Name: "corp:ops"})
	bindTo(t, h, "bob", "viewer", &yardarmv1.Subject{Kind: "User", Name: "corp:bob"})
	bindTo(t, h, "none", "admin", &yardarmv1.Subject{Kind: "User", Name: "corp:ops"})
	must[any](t)(ann.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}}))
	_, err = bob.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=test")}})
	refused(t, err, codes.PermissionDenied, `user "corp:bob"`)
	_, err = h.As(t, h.Issue(t, "ops", time.Time{})).ListBundles(t.Context(), &hubv1.ListBundlesRequest{})
	refused(t, err, codes.PermissionDenied, `token "ops"`)

	me := must[*hubv1.WhoAmIResponse](t)(ann.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{}))
	if me.Actor != "user/corp:ann" || me.Subject.Kind != "User" || strings.Join(me.Groups, " ") != "corp:ops" || me.Expires == nil ||
		len(me.RoleBindings) != 1 || me.RoleBindings[0].Metadata.Name != "ops" {
		t.Errorf("ann is %v", me)
	}
	for verb, allowed := range map[string]bool{"get": true, "apply": false} {
		if can := must[*hubv1.CanIResponse](t)(bob.CanI(t.Context(), &hubv1.CanIRequest{Verb: verb, Resource: "bundles"})); can.Allowed != allowed {
			t.Errorf("bob may %s bundles: %v", verb, can)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than to wait for ever
	defer cancel()
	watch := must[hubv1.FleetService_WatchClient](t)(h.As(t, "soon").Watch(ctx, &hubv1.WatchRequest{Kind: "Bundle"}))
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	refused(t, err, codes.Unauthenticated, "expired")
	watch = must[hubv1.FleetService_WatchClient](t)(h.As(t, "gone").Watch(ctx, &hubv1.WatchRequest{Kind: "Bundle"}))
	must[any](t)(watch.Header())
	close(gone) // the provider is one no longer
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	refused(t, err, codes.Unauthenticated, "revoked")
	watch = must[hubv1.FleetService_WatchClient](t)(ann.Watch(ctx, &hubv1.WatchRequest{Kind: "Bundle"}))
	must[any](t)(watch.Header())
	must[any](t)(h.DeleteRoleBinding(t.Context(), &hubv1.DeleteRoleBindingRequest{Name: "ops"}))
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	refused(t, err, codes.PermissionDenied, "corp:ann")
}

// TestWhyACallerIsRefused: what is wrong is said as far as it is the caller's to know, and a provider that is away is no refusal.
func TestWhyACallerIsRefused(t *testing.T) {
	who := &people{known: map[string]authz.Identity{"it": {}}}
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { who.Authenticator, c.Authenticator = c.Authenticator, who })
	for _, c := range []struct {
		err    error
		code   codes.Code
		status int
		words  string
	}{
		{&authz.RefusedError{Reason: "it expired at noon"}, codes.Unauthenticated, http.StatusUnauthorized, "it expired at noon"},
		{fmt.Errorf("wrapped: %w", authz.ErrCredential), codes.Unauthenticated, http.StatusUnauthorized, "not known to this hub; it may have expired or been revoked"},
		{&authz.UnavailableError{Reason: "corp is away"}, codes.Unavailable, http.StatusServiceUnavailable, "corp is away"},
	} {
		who.err = c.err
		_, err := h.As(t, "it").CreateToken(t.Context(), &hubv1.CreateTokenRequest{})
		st := refused(t, err, c.code, c.words)
		retry := false
		for _, d := range st.Details() {
			_, is := d.(*errdetails.RetryInfo)
			retry = retry || is
		}
		if retry != (c.code == codes.Unavailable) {
			t.Errorf("%v: details %v", c.err, st.Details())
		}
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/v1/hub", nil))
		req.Header.Set("Authorization", "Bearer it")
		resp := must[*http.Response](t)(h.HTTP.Do(req))
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%v over REST: status %d", c.err, resp.StatusCode)
		}
	}
}

// userCA issues client certificates.
type userCA struct {
	t    *testing.T
	key  crypto.Signer
	cert *x509.Certificate
}

func newUserCA(t *testing.T) *userCA {
	ca := &userCA{t: t, key: must[crypto.Signer](t)(certs.NewKey())}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "people"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca.cert = must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key))))
	return ca
}

func (ca *userCA) issue(name string, groups ...string) tls.Certificate {
	key := must[crypto.Signer](ca.t)(certs.NewKey())
	der := must[[]byte](ca.t)(x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: groups},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca.cert, key.Public(), ca.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestClientCAsAreReplaced: a certificate counts as long as its CA is trusted, on connections that are open too, and what it has called ends.
func TestClientCAsAreReplaced(t *testing.T) {
	first, second := newUserCA(t), newUserCA(t)
	var cas gateway.ClientCAs
	use := func(list ...*x509.Certificate) {
		if err := cas.Use(list); err != nil {
			t.Error(err)
		}
	}
	use(first.cert)
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) { g.ClientCAs = &cas })
	for _, name := range []string{"ann", "bob"} {
		bindTo(t, h, name, "viewer", &yardarmv1.Subject{Kind: "User", Name: name})
	}
	with := func(c tls.Certificate) hubv1.FleetServiceClient {
		config := &tls.Config{RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(1),
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
		config.RootCAs.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
		conn := must[*grpc.ClientConn](t)(grpc.NewClient(strings.TrimPrefix(h.URL, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(config))))
		t.Cleanup(func() { _ = conn.Close() })
		return hubv1.NewFleetServiceClient(conn)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than to wait for ever
	defer cancel()
	watching := func(c hubv1.FleetServiceClient) hubv1.FleetService_WatchClient {
		watch := must[hubv1.FleetService_WatchClient](t)(c.Watch(ctx, &hubv1.WatchRequest{Kind: "Bundle"}))
		must[any](t)(watch.Header())
		return watch
	}
	ann, bob := with(first.issue("ann")), with(second.issue("bob"))
	_, err := bob.WhoAmI(ctx, &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unavailable) // there is no handshake
	anns := watching(ann)
	use(first.cert, second.cert)
	must[any](t)(bob.WhoAmI(ctx, &hubv1.WhoAmIRequest{}, grpc.WaitForReady(true)))
	bobs := watching(bob)
	use(second.cert)
	for err = nil; err == nil; {
		_, err = anns.Recv()
	}
	if ctx.Err() != nil {
		t.Fatal("what was called with a certificate of a CA that is gone goes on")
	}
	_, err = ann.WhoAmI(ctx, &hubv1.WhoAmIRequest{}) // on the connection that it has
	refused(t, err, codes.Unauthenticated, "credential is needed")
	use(second.cert, newUserCA(t).cert)
	must[any](t)(bob.WhoAmI(ctx, &hubv1.WhoAmIRequest{}))
	apply(t, h, group("prod", "env=prod"), bundle("web", "prod"))
	for must[*hubv1.WatchResponse](t)(bobs.Recv()).GetBundle() == nil {
	}
	_, err = with(first.issue("ann")).WhoAmI(ctx, &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unavailable)
}

// TestClientCertificatesAreUsers over gRPC and REST; a bearer goes before them, and nobody writes one into a header.
func TestClientCertificatesAreUsers(t *testing.T) {
	ca := newUserCA(t)
	var cas gateway.ClientCAs
	if err := cas.Use([]*x509.Certificate{ca.cert}); err != nil {
		t.Fatal(err)
	}
	h := apitest.Start(t, func(_ *api.Config, g *gateway.Config) { g.ClientCAs = &cas })
	bindTo(t, h, "ops", "viewer", &yardarmv1.Subject{Kind: "Group", Name: "ops"})
	with := func(c tls.Certificate) (hubv1.FleetServiceClient, *http.Client) {
		config := &tls.Config{RootCAs: x509.NewCertPool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
		config.RootCAs.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
		conn := must[*grpc.ClientConn](t)(grpc.NewClient(strings.TrimPrefix(h.URL, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(config))))
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		t.Cleanup(func() { _ = conn.Close(); transport.CloseIdleConnections() })
		return hubv1.NewFleetServiceClient(conn), &http.Client{Transport: transport}
	}
	rest := func(c *http.Client, header ...string) (status int, actor string) {
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/v1/whoami", nil))
		if len(header) > 0 {
			req.Header.Set(header[0], header[1])
		}
		resp := must[*http.Response](t)(c.Do(req))
		defer resp.Body.Close()
		var me struct{ Actor string }
		_ = json.NewDecoder(resp.Body).Decode(&me)
		return resp.StatusCode, me.Actor
	}
	ann := ca.issue("ann", "ops", "dev")
	grpcAnn, restAnn := with(ann)
	me := must[*hubv1.WhoAmIResponse](t)(grpcAnn.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{}))
	if me.Actor != "user/ann" || strings.Join(me.Groups, " ") != "dev ops" || me.Expires == nil || len(me.RoleBindings) != 1 {
		t.Errorf("over gRPC it is %v", me)
	}
	must[any](t)(grpcAnn.ListBundles(t.Context(), &hubv1.ListBundlesRequest{}))
	if status, actor := rest(restAnn); status != http.StatusOK || actor != "user/ann" {
		t.Errorf("over REST it is %q, status %d", actor, status)
	}
	if _, actor := rest(restAnn, "Authorization", "Bearer "+h.Token); actor != authz.AdminName {
		t.Errorf("with a bearer it is %q", actor)
	}
	if status, _ := rest(restAnn, "Authorization", "Bearer nonsense"); status != http.StatusUnauthorized {
		t.Errorf("with a bad bearer: status %d", status)
	}
	noName, _ := with(ca.issue("", "ops"))
	_, err := noName.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated, "common name")
	stranger, _ := with(newUserCA(t).issue("ann", "ops"))
	_, err = stranger.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unavailable) // there is no handshake

	// What the gateway passes on is believed of nobody else.
	raw := string(ann.Certificate[0])
	_, err = client(t, h, "").WhoAmI(apitest.WithHeader(t.Context(), "x-yardarm-certificate-bin", raw), &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated, "credential is needed")
	for _, name := range []string{"X-Yardarm-Certificate-Bin", "Grpc-Metadata-X-Yardarm-Certificate-Bin"} {
		if status, actor := rest(h.HTTP, name, base64.StdEncoding.EncodeToString([]byte(raw))); status != http.StatusUnauthorized {
			t.Errorf("%s: it is %q, status %d", name, actor, status)
		}
	}
}
