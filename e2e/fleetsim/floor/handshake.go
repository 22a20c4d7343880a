package floor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// shaking is how many handshakes are under way at a time: enough for two cores on both sides.
	shaking = 32
	// shakeTimeout bounds one.
	shakeTimeout = 20 * time.Second
)

// ServeHandshakes takes connections, shakes hands with each, says one byte and hangs up, until the listener is closed.
func ServeHandshakes(listener net.Listener, id Identity) error {
	config, err := id.server()
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if conn.SetDeadline(time.Now().Add(shakeTimeout)) != nil {
					return
				}
				// The client reads until the end, which brings it the ticket.
				_, _ = tls.Server(conn, config).Write([]byte{1})
			}()
		}
	}()
	return nil
}

// Handshakes answers how many handshakes with mutual authentication a second are made with a server of another process: full
// ones, and resumed ones.
func Handshakes(ctx context.Context, address string, id Identity, n int) (full, resumed float64, err error) {
	caches := make([]tls.ClientSessionCache, shaking)
	for i := range caches {
		caches[i] = tls.NewLRUClientSessionCache(1)
	}
	if full, err = shakeMany(ctx, address, id, n, make([]tls.ClientSessionCache, shaking), false); err != nil {
		return 0, 0, err
	}
	// A ticket for each. All at once would not do: who is quick would have two turns, and the second is a resumption.
	for i := range caches {
		if _, err = shakeMany(ctx, address, id, 1, caches[i:i+1], false); err != nil {
			return 0, 0, err
		}
	}
	resumed, err = shakeMany(ctx, address, id, n, caches, true)
	return full, resumed, err
}

func shakeMany(ctx context.Context, address string, id Identity, n int, caches []tls.ClientSessionCache, resume bool) (perSecond float64, err error) {
	group, ctx := errgroup.WithContext(ctx)
	var next sync.Mutex
	left := n
	began := time.Now()
	for _, cache := range caches {
		config, err := id.client(cache)
		if err != nil {
			return 0, err
		}
		group.Go(func() error {
			for {
				next.Lock()
				left--
				done := left < 0
				next.Unlock()
				if done || ctx.Err() != nil {
					return ctx.Err()
				}
				if err := shake(ctx, address, config, resume); err != nil {
					return err
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("measure handshakes: %w", err)
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

func shake(ctx context.Context, address string, config *tls.Config, resume bool) error {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: shakeTimeout}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(shakeTimeout)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return err
	}
	if got := conn.(*tls.Conn).ConnectionState().DidResume; got != resume {
		return fmt.Errorf("a handshake was resumed: %v, want %v", got, resume)
	}
	return nil
}
