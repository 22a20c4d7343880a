package api_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestTokenFromBirthToRevocation: a token does what its binding gives it, is told apart, is seen to be used, and is gone at once and whole.
func TestTokenFromBirthToRevocation(t *testing.T) {
	var log lines
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	apply(t, h, group("prod", "env=prod"))
	made := must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "ci", Role: "publisher",
		Bundles: &yardarmv1.Scope{Names: []string{"web"}}, Ttl: durationpb.New(time.Hour)}))
	if !strings.HasPrefix(made.Secret, made.Token.Status.Prefix+"_") || made.Token.Status.Actor != "local-admin" || made.Token.Status.LastUsed != nil ||
		strings.Join(made.Token.Status.Roles, " ") != "publisher" || time.Until(made.Token.Status.Expires.AsTime()) > time.Hour {
		t.Errorf("made %v", made.Token)
	}
	c := h.As(t, made.Secret)
	if err := publishAs(t, c, &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}); err != nil {
		t.Fatal(err)
	}
	if by := must[*yardarmv1.Revision](t)(c.GetRevision(t.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: 1})).Spec.Provenance.Actor; by != "token/ci" {
		t.Errorf("published by %q", by)
	}
	refused(t, publishAs(t, c, &hubv1.Publication{Bundle: "db", Groups: []string{"prod"}}), codes.PermissionDenied)
	me := must[*hubv1.WhoAmIResponse](t)(c.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{}))
	if me.Actor != "token/ci" || me.Subject.Kind != "Token" || names(me.RoleBindings) != "ci" || me.Expires == nil {
		t.Errorf("the token is %v", me)
	}
	list := must[*hubv1.ListTokensResponse](t)(h.ListTokens(t.Context(), &hubv1.ListTokensRequest{Filter: "role=publisher", OrderBy: "expires"}))
	if names(list.Tokens) != "ci" || time.Since(list.Tokens[0].Status.LastUsed.AsTime()) > time.Minute {
		t.Errorf("tokens %v", list)
	}
	if got := must[*yardarmv1.Token](t)(h.GetToken(t.Context(), &hubv1.GetTokenRequest{Name: "ci"})); got.Metadata.Uid != made.Token.Metadata.Uid {
		t.Errorf("token %v", got)
	}

	must[any](t)(h.RevokeToken(t.Context(), &hubv1.RevokeTokenRequest{Name: "ci"}))
	_, err := c.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated)
	_, err = h.GetToken(t.Context(), &hubv1.GetTokenRequest{Name: "ci"})
	refused(t, err, codes.NotFound)
	_, err = h.GetRoleBinding(t.Context(), &hubv1.GetRoleBindingRequest{Name: "ci"})
	refused(t, err, codes.NotFound)

	secret := made.Secret[strings.LastIndex(made.Secret, "_")-10:]
	if strings.Contains(log.String(), secret) {
		t.Error("the log has the secret")
	}
	files, err := filepath.Glob(filepath.Join(h.Dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if data, _ := os.ReadFile(file); bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s has the secret", file)
		}
	}
}

func TestTokensAreRefused(t *testing.T) {
	h := apitest.Start(t)
	create := func(c hubv1.FleetServiceClient, req *hubv1.CreateTokenRequest) error {
		_, err := c.CreateToken(t.Context(), req)
		return err
	}
	if err := create(h, &hubv1.CreateTokenRequest{Name: "ci", Role: "viewer"}); err != nil {
		t.Fatal(err)
	}
	bind(t, h, "later", "admin", nil, nil)
	role := &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: "clerk"}, Spec: &yardarmv1.RoleSpec{
		Rules: []*yardarmv1.Rule{{Verbs: []string{"create", "delete"}, Resources: []string{"tokens"}}}}}}}
	apply(t, h, role)
	clerk := h.As(t, h.Issue(t, "clerk", time.Time{}))
	bind(t, h, "clerk", "clerk", nil, nil)
	for name, test := range map[string]struct {
		caller hubv1.FleetServiceClient
		req    *hubv1.CreateTokenRequest
		code   codes.Code
		words  string
	}{
		"a name that is taken":                {h, &hubv1.CreateTokenRequest{Name: "ci"}, codes.AlreadyExists, "token revoke ci"},
		"the local administrator's name":      {h, &hubv1.CreateTokenRequest{Name: "local-admin"}, codes.AlreadyExists, "local-admin"},
		"a binding that is there":             {h, &hubv1.CreateTokenRequest{Name: "later", Role: "viewer"}, codes.AlreadyExists, "role binding"},
		"a role that there is not":            {h, &hubv1.CreateTokenRequest{Name: "x", Role: "nothing"}, codes.InvalidArgument, "nothing"},
		"a scope without a role":              {h, &hubv1.CreateTokenRequest{Name: "x", Bundles: &yardarmv1.Scope{Names: []string{"web"}}}, codes.InvalidArgument, "role"},
		"for ever":                            {h, &hubv1.CreateTokenRequest{Name: "x", Ttl: durationpb.New(10_000 * time.Hour)}, codes.InvalidArgument, "ttl"},
		"more than one has":                   {clerk, &hubv1.CreateTokenRequest{Name: "x", Role: "viewer"}, codes.PermissionDenied, "nobody gives more"},
		"one for which more is waiting":       {clerk, &hubv1.CreateTokenRequest{Name: "later"}, codes.PermissionDenied, "nobody gives more"},
		"by somebody who may make none":       {h.As(t, must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "v", Role: "viewer"})).Secret), &hubv1.CreateTokenRequest{Name: "x"}, codes.PermissionDenied, "tokens"},
		"one that has nothing, by who may so": {clerk, &hubv1.CreateTokenRequest{Name: "bare"}, codes.OK, ""},
	} {
		t.Log(name)
		refused(t, create(test.caller, test.req), test.code, test.words)
	}
	_, err := clerk.RevokeToken(t.Context(), &hubv1.RevokeTokenRequest{Name: "local-admin"})
	refused(t, err, codes.NotFound)
	must[any](t)(clerk.RevokeToken(t.Context(), &hubv1.RevokeTokenRequest{Name: "bare"}))
}

func TestCanI(t *testing.T) {
	h, c := scoped(t, "publisher")
	for ask, want := range map[*hubv1.CanIRequest]bool{
		{Verb: "publish", Resource: "bundles"}:                                           true,
		{Verb: "publish", Resource: "bundles", Bundle: "web"}:                            true,
		{Verb: "publish", Resource: "bundles", Bundle: "db"}:                             false,
		{Verb: "publish", Resource: "bundles", Bundle: "new", ClusterGroup: "prod"}:      true,
		{Verb: "publish", Resource: "bundles", Bundle: "web", ClusterGroup: "staging"}:   false,
		{Verb: "delete", Resource: "bundles", Bundle: "web"}:                             false,
		{Verb: "get", Resource: "clusters", Cluster: "berlin"}:                           true,
		{Verb: "get", Resource: "clusters", Cluster: "paris"}:                            false,
		{Verb: "get", Resource: "hub"}:                                                   true,
		{Verb: "get", Resource: "tokens"}:                                                false,
		{Verb: "reconcile", Resource: "assignments", Cluster: "berlin", Bundle: "web"}:   true,
		{Verb: "reconcile", Resource: "assignments", Cluster: "berlin", Bundle: "other"}: false,
	} {
		got := must[*hubv1.CanIResponse](t)(c.CanI(t.Context(), ask))
		if got.Allowed != want || !want && got.Reason == "" {
			t.Errorf("%v: %v", ask, got)
		}
	}
	if got := must[*hubv1.CanIResponse](t)(c.CanI(t.Context(), &hubv1.CanIRequest{Verb: "publish", Resource: "bundles"})); !strings.Contains(got.Reason, "scopes") {
		t.Errorf("nothing is said of the scopes: %v", got)
	}
	if got := must[*hubv1.CanIResponse](t)(h.CanI(t.Context(), &hubv1.CanIRequest{Verb: "backup", Resource: "hub"})); !got.Allowed || got.Reason != "" {
		t.Errorf("the administrator: %v", got)
	}
	_, err := c.CanI(t.Context(), &hubv1.CanIRequest{Verb: "fly", Resource: "bundle"})
	refused(t, err, codes.InvalidArgument, "fly", "bundles")
}
