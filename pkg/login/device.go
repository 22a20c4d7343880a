package login

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code is what a person types in on another device.
type Code struct {
	// URL is where, and Complete where nothing has to be typed in; it may be empty.
	URL, Complete string
	User          string
	Expires       time.Time
}

// Device signs in on another device: show is called with the code to type in there, and Device returns once that is done, or ctx or the code ends.
func (c *Client) Device(ctx context.Context, show func(Code)) (Tokens, error) {
	if c.oauth.Endpoint.DeviceAuthURL == "" {
		return Tokens{}, fmt.Errorf("identity provider %s knows no device codes; sign in with a browser", c.provider.Issuer)
	}
	code, err := c.oauth.DeviceAuth(c.with(ctx))
	if err != nil {
		return Tokens{}, c.failure("it gives no code", err)
	}
	show(Code{URL: code.VerificationURI, Complete: code.VerificationURIComplete, User: code.UserCode, Expires: code.Expiry})
	token, err := c.oauth.DeviceAccessToken(c.with(ctx), code)
	switch {
	case ctx.Err() != nil:
		return Tokens{}, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return Tokens{}, errors.New("nobody has typed in the code in time")
	case err != nil:
		return Tokens{}, c.failure("you are not signed in", err)
	}
	return c.tokens(ctx, token, "")
}
