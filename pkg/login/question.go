package login

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Question is a sign-in that is under way in a browser: authorization code with PKCE. It is a secret of who asks.
type Question struct {
	// Redirect is where the provider sends the browser back to.
	Redirect string `json:"redirect"`
	// State says that an answer is to this question, Verifier that the code is redeemed by who asked, Nonce that the token is of this sign-in.
	State    string `json:"state"`
	Verifier string `json:"verifier"`
	Nonce    string `json:"nonce"`
}

// Question makes one, and the URL to show in the browser.
func (c *Client) Question(redirect string) (Question, string) {
	q := Question{redirect, oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oidc.Nonce(q.Nonce), oauth2.S256ChallengeOption(q.Verifier)}
	if slices.Contains(c.oauth.Scopes, oidc.ScopeOfflineAccess) {
		// The specification wants that the person is asked before a refresh token is given.
		options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	return q, c.back(q).AuthCodeURL(q.State, options...)
}

// Redeem takes what the browser came back with, the query of its URL, and gets the tokens for it.
func (c *Client) Redeem(ctx context.Context, q Question, answer url.Values) (Tokens, error) {
	if subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(q.State)) == 0 {
		return Tokens{}, &RefusedError{"that is not the answer to the sign-in that is under way here; sign in again"}
	}
	if issuer := answer.Get("iss"); issuer != "" && issuer != c.provider.Issuer {
		return Tokens{}, &RefusedError{fmt.Sprintf("identity provider %s: another one has answered in its place; sign in again", c.provider.Issuer)}
	}
	if reason := answer.Get("error"); reason != "" {
		return Tokens{}, c.failure("you are not signed in", &oauth2.RetrieveError{ErrorCode: reason, ErrorDescription: answer.Get("error_description")})
	}
	token, err := c.back(q).Exchange(c.with(ctx), answer.Get("code"), oauth2.VerifierOption(q.Verifier))
	if err != nil {
		return Tokens{}, c.failure("it gives no token", err)
	}
	return c.tokens(ctx, token, q.Nonce)
}

// back is how the provider is spoken with about a question.
func (c *Client) back(q Question) *oauth2.Config {
	with := c.oauth
	with.RedirectURL = q.Redirect
	return &with
}
