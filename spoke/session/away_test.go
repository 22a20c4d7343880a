package session

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// anybody is an identity with addresses.
type anybody struct {
	Identity
	addresses []string
}

func (a anybody) TLS() *tls.Config    { return &tls.Config{} }
func (a anybody) Addresses() []string { return a.addresses }

// A fleet that finds its hub away comes back as spread as the hub has said, once no address is left that may serve; a spoke that has heard nothing of the kind, and
// one that has another address, soon.
func TestReturnToAHubThatIsAway(t *testing.T) {
	const fleet, within = 64, 20 * time.Second
	for _, c := range []struct {
		name      string
		within    time.Duration
		addresses []string
		spread    int // which of the pauses is the first that is as long as the hub has said; 0 for none
	}{
		{"a hub that said nothing", 0, []string{"127.0.0.1:1"}, 0},
		{"a large fleet's", within, []string{"127.0.0.1:1"}, 1},
		{"a large fleet's, at two addresses", within, []string{"127.0.0.1:1", "127.0.0.1:2"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				longest := make([]time.Duration, 3) // of each pause, in all of the fleet
				for range fleet {
					for i, pause := range pauses(t, c.within, c.addresses, len(longest)) {
						longest[i] = max(longest[i], pause)
					}
				}
				for i, pause := range longest {
					own := backoffBase << i
					if spread := c.spread > 0 && i+1 >= c.spread; spread && (pause < within/2 || pause > within) || !spread && pause > own {
						t.Errorf("the longest wait after %d attempts is %s, by a backoff of at most %s", i+1, pause, own)
					}
				}
			})
		})
	}
}

// pauses answers how long a spoke waits between the first attempts to dial, none of which serves.
func pauses(t *testing.T, within time.Duration, addresses []string, n int) (waits []time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last time.Time
	c := New(Config{
		Identity: anybody{addresses: addresses}, State: new(state.State), Book: new(report.Book), Logger: slog.New(slog.DiscardHandler), Status: func(Status) {},
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if now := time.Now(); last.IsZero() {
				last = now
			} else if waits = append(waits, now.Sub(last)); len(waits) == n {
				cancel()
			} else {
				last = now
			}
			return nil, errors.New("connection refused")
		})},
	})
	c.within = within
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return waits
}
