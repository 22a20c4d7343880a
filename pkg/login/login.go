package login

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Tokens are what a sign-in has come to. They are secrets.
type Tokens struct {
	// ID is the ID token: the credential that a hub takes.
	ID string
	// Refresh gets others of them; empty if the provider gives none.
	Refresh string
	// Expires is when the ID token does.
	Expires time.Time
}

// Client is a hub's client at one provider.
type Client struct {
	provider Provider
	http     *http.Client
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	revoke   string
}

// New asks a provider how it is to be spoken with.
func New(ctx context.Context, p Provider) (*Client, error) {
	connections, err := HTTP(p.CA)
	if err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", p.Issuer, err)
	}
	c := &Client{provider: p, http: connections}
	found, err := oidc.NewProvider(c.with(ctx), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("reach identity provider %s: %w", p.Issuer, err)
	}
	var more struct {
		Revocation string `json:"revocation_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("reach identity provider %s: %w", p.Issuer, err)
	}
	c.revoke = more.Revocation
	c.oauth = oauth2.Config{ClientID: p.ClientID, ClientSecret: string(p.Secret), Endpoint: found.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...)}
	// Without this, the library tries to find out how a secret is sent.
	c.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	if c.secretInHeader() {
		c.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	c.verifier = found.VerifierContext(c.with(ctx), &oidc.Config{ClientID: p.ClientID})
	return c, nil
}

// secretInHeader tells how the client shows who it is. A public one only says it.
func (c *Client) secretInHeader() bool { return c.provider.Secret != "" && !c.provider.SecretInBody }

// Close ends the connections to the provider.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// with has the libraries use the client's connections.
func (c *Client) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, c.http)
}

// Refresh gets new tokens for a refresh token, which may count no more afterwards.
func (c *Client) Refresh(ctx context.Context, refresh string) (Tokens, error) {
	token, err := c.oauth.TokenSource(c.with(ctx), &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return Tokens{}, c.failure("it gives no new token", err)
	}
	return c.tokens(ctx, token, "")
}

// Revoke ends a refresh token, where the provider lets one.
func (c *Client) Revoke(ctx context.Context, refresh string) error {
	if c.revoke == "" {
		return nil
	}
	form := url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"}}
	if !c.secretInHeader() {
		form.Set("client_id", c.provider.ClientID)
	}
	if c.provider.SecretInBody {
		form.Set("client_secret", string(c.provider.Secret))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.revoke, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.secretInHeader() {
		req.SetBasicAuth(url.QueryEscape(c.provider.ClientID), url.QueryEscape(string(c.provider.Secret))) // RFC 6749, 2.3.1
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("identity provider %s: revoke a refresh token: %s", c.provider.Issuer, resp.Status)
	}
	return nil
}

// tokens takes the ID token out of an answer and verifies it: it is for this client, and for this sign-in if there is a nonce.
func (c *Client) tokens(ctx context.Context, answer *oauth2.Token, nonce string) (Tokens, error) {
	raw, ok := answer.Extra("id_token").(string)
	if !ok || raw == "" {
		return Tokens{}, fmt.Errorf("identity provider %s gives no ID token; sign in again", c.provider.Issuer)
	}
	token, err := c.verifier.Verify(c.with(ctx), raw)
	if err != nil {
		return Tokens{}, fmt.Errorf("identity provider %s gives an ID token that does not hold", c.provider.Issuer)
	}
	if nonce != "" && token.Nonce != nonce {
		return Tokens{}, &RefusedError{fmt.Sprintf("identity provider %s gives an ID token of another sign-in; sign in again", c.provider.Issuer)}
	}
	return Tokens{ID: raw, Refresh: answer.RefreshToken, Expires: token.Expiry}, nil
}

// RefusedError is what a provider has refused, in words for the person: it was reached, and asking again changes nothing.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// failure is what a provider answers, without what else is in the answer.
func (c *Client) failure(what string, err error) error {
	var refused *oauth2.RetrieveError
	switch {
	case !errors.As(err, &refused):
		return fmt.Errorf("identity provider %s: %s: %w", c.provider.Issuer, what, err)
	case refused.ErrorCode == "":
		// Whatever stands in the provider's place: it has judged nothing.
		return fmt.Errorf("identity provider %s: %s: %s", c.provider.Issuer, what, refused.Response.Status)
	case refused.ErrorDescription != "":
		what += ": " + refused.ErrorCode + ": " + refused.ErrorDescription
	default:
		what += ": " + refused.ErrorCode
	}
	return &RefusedError{fmt.Sprintf("identity provider %s: %s", c.provider.Issuer, what)}
}

// Ask asks a hub, given as https://HOST:PORT, by which providers people can sign in.
func Ask(ctx context.Context, hub string, config *tls.Config) (Announcement, error) {
	connections := overTLS(config)
	defer connections.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(hub, "/")+Path, nil)
	if err != nil {
		return Announcement{}, err
	}
	resp, err := connections.Do(req)
	if err != nil {
		return Announcement{}, fmt.Errorf("ask the hub how to sign in: %w", err)
	}
	defer resp.Body.Close()
	var a Announcement
	if resp.StatusCode != http.StatusOK {
		return Announcement{}, fmt.Errorf("ask the hub how to sign in: it answers %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return Announcement{}, fmt.Errorf("ask the hub how to sign in: %w", err)
	}
	return a, nil
}
