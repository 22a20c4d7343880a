package source

import (
	"context"
	"io"
	"net/http"

	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/source/webhook"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Hear takes a webhook for the source credentials of a name. If it is signed with their webhook secret, all that bundles get with these credentials is looked at now; those that
// come while it is being looked at make for one more look, however many they are. It returns once that is noted, with the errors of [webhook.Check] among others.
func (c *Controller) Hear(ctx context.Context, name string, header http.Header, body io.Reader) (err error) {
	defer func() { c.metrics.heard(err) }()
	secret, err := c.webhookSecret(name)
	if err != nil {
		return err
	}
	if err := webhook.Check(header, body, secret); err != nil {
		return err
	}
	c.Logger.Debug("a webhook says that there is something new", "credentials", name)
	return c.Look(ctx, func(s *yardarmv1.Source) bool { return s.Origin().GetCredentials() == name })
}

// webhookSecret is that of the credentials of a name; empty where there is none.
func (c *Controller) webhookSecret(name string) ([]byte, error) {
	sealed := c.Store.Read().SourceCredentials(name).GetSecrets()[yardarmv1.HoldsWebhookSecret]
	if sealed == nil {
		return nil, nil
	}
	return c.Sealer.Open(credentials.SecretName(name, yardarmv1.HoldsWebhookSecret), sealed)
}
