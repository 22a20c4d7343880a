package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/source/webhook"
)

const (
	// webhookPath is where servers of sources say that they have something new; the name of source credentials follows.
	webhookPath = "/webhooks/source/"
	// maxWebhook bounds one, in bytes: pushes tell of thousands of commits. It is read and not kept.
	maxWebhook = 1 << 20
	// webhookTime bounds a webhook as a whole: servers of Git wait no longer for an answer.
	webhookTime = 10 * time.Second
)

// webhooks serve POST /webhooks/source/NAME. Who sends one has no credential for calls, and needs none: a signature of the body has the hub look, and do nothing else.
type webhooks struct {
	hear     func(ctx context.Context, name string, header http.Header, body io.Reader) error
	stranger func(remote string) error
	refuse   func(http.ResponseWriter, *http.Request, error)
	log      *slog.Logger
}

// ServeHTTP implements http.Handler.
func (h webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), webhookTime)
	defer cancel()
	if err := h.hear(ctx, r.PathValue("name"), r.Header, r.Body); err != nil {
		h.refuse(w, r, h.refusal(r, err))
		return
	}
	writeText(w, http.StatusAccepted, "the hub looks")
}

// refusal is what the sender is told. As with calls, those that show nothing are counted by their address, and a good one from there is heard all the same.
func (h webhooks) refusal(r *http.Request, err error) error {
	var limit *http.MaxBytesError
	switch {
	case errors.Is(err, webhook.ErrRefused):
		if h.stranger != nil {
			if often := h.stranger(r.RemoteAddr); often != nil {
				return often
			}
		}
		return status.Error(codes.Unauthenticated, err.Error())
	case errors.As(err, &limit):
		return status.Error(codes.ResourceExhausted, "the webhook is too large; have it sent for pushes alone. What it tells of is seen by the next poll")
	case errors.Is(err, webhook.ErrUnread):
		return status.Error(codes.InvalidArgument, webhook.ErrUnread.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return status.Error(codes.Unavailable, "the hub is starting, stopping or busy; send it again")
	}
	h.log.Error("a webhook was not heard", "error", err)
	return status.Error(codes.Internal, "the hub could not hear it; its log says why")
}
