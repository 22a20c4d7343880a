package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultTokenTTL is how long a token lives that nobody said anything about, and maxTokenTTL the longest, as the proto says: a credential that is in
	// use for years is in more hands than anybody knows.
	defaultTokenTTL = 90 * 24 * time.Hour
	maxTokenTTL     = 366 * 24 * time.Hour
)

// TokenDrafter draws tokens; *authz.Authz is one.
type TokenDrafter interface {
	DraftToken() (*authz.Draft, error)
}

// CreateToken implements FleetService. The secret is in the answer, and nowhere else.
func (s *Server) CreateToken(ctx context.Context, req *hubv1.CreateTokenRequest) (*hubv1.CreateTokenResponse, error) {
	ttl, err := checkToken(req)
	if err != nil {
		return nil, err
	}
	draft, err := s.cfg.Tokens.DraftToken()
	if err != nil {
		return nil, err
	}
	uid, err := s.newUID()
	if err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.CreateTokenResponse, error) {
		row := draft.Credential(req.GetName(), c.actor, c.now, c.now.Add(ttl))
		if err := c.PutCredential(row); errors.Is(err, store.ErrNameTaken) {
			return nil, exists(yardarmv1.KindToken, req.GetName(), fmt.Sprintf("take another name, or revoke it first (`yardarm token revoke %s`)", req.GetName()))
		} else if err != nil {
			return nil, err
		}
		// A binding may have been there before the token.
		for b := range c.RoleBindingsOf(yardarmv1.SubjectToken, req.GetName()) {
			if lacks := c.access.Lacks(authz.Role(&c.ReadTx, b.GetSpec().GetRole()).GetSpec().GetRules(), b.Spec.Bundles, b.Spec.ClusterGroups); lacks != "" {
				return nil, escalation(c.who, yardarmv1.KindRoleBinding, b.Metadata.Name, lacks)
			}
		}
		if req.GetRole() != "" {
			if err := c.bindToken(req, uid); err != nil {
				return nil, err
			}
		}
		secret := draft.Text
		if req.GetDryRun() {
			secret = ""
		}
		return func(v view) *hubv1.CreateTokenResponse {
				return &hubv1.CreateTokenResponse{Token: v.token(row), Secret: secret}
			},
			c.event(&yardarmv1.Event{Reason: "TokenCreated", Message: fmt.Sprintf("token %q was made, good until %s", req.GetName(), row.Expires.AsTime().Format(time.RFC3339))})
	})
}

// bindToken makes the binding that gives a new token its role.
func (c *change) bindToken(req *hubv1.CreateTokenRequest, uid string) error {
	r := authz.Role(&c.ReadTx, req.GetRole())
	if r == nil {
		return invalid("role", fmt.Sprintf("there is no role %q; `yardarm get roles` lists them", clip(req.GetRole())))
	}
	if c.RoleBinding(req.GetName()) != nil {
		return exists(yardarmv1.KindRoleBinding, req.GetName(), "take another name, or leave out the role: a token has what its bindings give it")
	}
	return c.give(&yardarmv1.RoleBinding{Metadata: c.newMeta(req.GetName(), uid), Spec: &yardarmv1.RoleBindingSpec{
		Role: req.GetRole(), Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: req.GetName()}},
		Bundles: proto.CloneOf(req.GetBundles()), ClusterGroups: proto.CloneOf(req.GetClusterGroups()),
	}}, r)
}

func checkToken(req *hubv1.CreateTokenRequest) (ttl time.Duration, err error) {
	var v violations
	check := checker{v: &v}
	check.name("name", req.GetName())
	check.scope("bundles", req.GetBundles())
	check.scope("clusterGroups", req.GetClusterGroups())
	if req.GetRole() == "" && (req.GetBundles() != nil || req.GetClusterGroups() != nil) {
		check.add("role", "is missing: a scope goes with a role")
	}
	ttl = defaultTokenTTL
	if req.GetTtl() != nil {
		ttl = req.GetTtl().AsDuration()
		if err := req.GetTtl().CheckValid(); err != nil || ttl < minTTL || ttl > maxTokenTTL {
			check.add("ttl", fmt.Sprintf("is %v; a token lives for between %v and %v", ttl, minTTL, durationpb.New(maxTokenTTL).AsDuration()))
		}
	}
	return ttl, v.err()
}

// ListTokens implements FleetService. The local administrator's credential is none that anybody could revoke, and is not listed.
func (s *Server) ListTokens(ctx context.Context, req *hubv1.ListTokensRequest) (*hubv1.ListTokensResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "tokens"}
	p, err := paginate(list, tokenFields, func(add func(*yardarmv1.Token)) {
		for row := range v.Credentials() {
			if !authz.IsLocalAdmin(row) {
				add(v.token(row))
			}
		}
	}, func(t *yardarmv1.Token) *yardarmv1.Token { return t })
	if err != nil {
		return nil, err
	}
	return &hubv1.ListTokensResponse{Tokens: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetToken implements FleetService.
func (s *Server) GetToken(ctx context.Context, req *hubv1.GetTokenRequest) (*yardarmv1.Token, error) {
	v := s.view(ctx)
	row := v.CredentialByName(req.GetName())
	if row == nil || authz.IsLocalAdmin(row) {
		return nil, tokenNotFound(req.GetName())
	}
	return v.token(row), nil
}

// RevokeToken implements FleetService. A token that is made under the name later inherits nothing.
func (s *Server) RevokeToken(ctx context.Context, req *hubv1.RevokeTokenRequest) (*hubv1.RevokeTokenResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.RevokeTokenResponse, error) {
		row := c.CredentialByName(req.GetName())
		if row == nil || authz.IsLocalAdmin(row) {
			return nil, tokenNotFound(req.GetName())
		}
		if err := c.DeleteCredential(row.Id); err != nil {
			return nil, err
		}
		for b := range c.RoleBindingsOf(yardarmv1.SubjectToken, row.Name) {
			if err := c.leaveBinding(b, row.Name); err != nil {
				return nil, err
			}
		}
		return as(&hubv1.RevokeTokenResponse{}), c.event(&yardarmv1.Event{Reason: "TokenRevoked", Message: fmt.Sprintf("token %q was revoked", row.Name)})
	})
}

// leaveBinding takes a token out of a binding, which ends with its last subject.
func (c *change) leaveBinding(b *yardarmv1.RoleBinding, token string) error {
	next := proto.CloneOf(b)
	next.Spec.Subjects = slices.DeleteFunc(next.Spec.Subjects, func(s *yardarmv1.Subject) bool {
		return s.GetKind() == yardarmv1.SubjectToken && s.GetName() == token
	})
	if len(next.Spec.Subjects) == 0 {
		return c.DeleteRoleBinding(b.Metadata.Name)
	}
	next.Metadata.Generation++
	return c.PutRoleBinding(next)
}

// token is what callers see of a credential.
func (v view) token(row *storev1.Credential) *yardarmv1.Token {
	t := &yardarmv1.Token{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindToken,
		Metadata: &yardarmv1.ObjectMeta{Name: row.GetName(), Uid: row.GetId(), CreationTimestamp: row.GetCreated()},
		Status: &yardarmv1.TokenStatus{Prefix: authz.Prefix(row.GetId()), Actor: row.GetActor(), Expires: row.GetExpires(),
			LastUsed: v.CredentialUse(row.GetId()).GetTime()},
	}
	for b := range v.RoleBindingsOf(yardarmv1.SubjectToken, row.GetName()) {
		t.Status.Roles = append(t.Status.Roles, b.GetSpec().GetRole())
	}
	slices.Sort(t.Status.Roles)
	t.Status.Roles = slices.Compact(t.Status.Roles)
	return t
}

func tokenNotFound(name string) error {
	return notFound(yardarmv1.KindToken, clip(name), "`yardarm get tokens` lists them, and `yardarm token create` makes one")
}

// exists refuses a name that is taken; hint says what to do.
func exists(kind, name, hint string) error {
	return refuse(codes.AlreadyExists, reasonExists, map[string]string{"kind": kind, "name": name}, fmt.Sprintf("there is a %s %q already; %s", words(kind), name, hint))
}
