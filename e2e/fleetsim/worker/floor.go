package worker

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/floor"
)

// Floor is the service that plays either side of the bare floors.
type Floor struct {
	server  *floor.EchoServer
	clients *floor.EchoClients
}

// FloorArgs say what a floor is made of.
type FloorArgs struct {
	Identity floor.Identity
	// Address to dial, and the network 127.NETWORK.0.0/16 to dial from.
	Address string
	Network int
	// N streams or handshakes, and the Size of a message in bytes.
	N, Size int
	Timeout time.Duration
	// Every is how often each stream beats.
	Every time.Duration
}

// ServeEcho answers where it serves.
func (f *Floor) ServeEcho(args FloorArgs, address *string) error {
	listener, err := net.Listen("tcp", args.Address)
	if err != nil {
		return err
	}
	*address = listener.Addr().String()
	f.server, err = floor.ServeEcho(listener, args.Identity)
	return err
}

// Broadcast answers when it began; all have answered by its end.
func (f *Floor) Broadcast(args FloorArgs, began *time.Time) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), args.Timeout)
	defer cancel()
	*began, err = f.server.Broadcast(ctx, args.Size)
	return err
}

// DialEcho opens streams.
func (f *Floor) DialEcho(args FloorArgs, _ *none) (err error) {
	debug.SetGCPercent(crowdPercent)
	f.clients, err = floor.DialEcho(args.Address, args.Identity, args.Network, args.N, args.Size)
	return err
}

// TakeEcho answers when messages have come since the last time.
func (f *Floor) TakeEcho(_ none, came *[]time.Time) error {
	*came = f.clients.Take()
	return nil
}

// Lost answers what became of streams that have ended; empty if none has.
func (f *Floor) Lost(_ none, what *string) error {
	if n, why := f.clients.Lost(); n > 0 {
		*what = fmt.Sprintf("%d streams have ended, the first with: %v", n, why)
	}
	return nil
}

// Beat has the streams of DialEcho beat.
func (f *Floor) Beat(args FloorArgs, _ *none) error {
	f.clients.Beat(args.Every)
	return nil
}

// ServeHandshakes answers where it serves.
func (f *Floor) ServeHandshakes(args FloorArgs, address *string) error {
	listener, err := net.Listen("tcp", args.Address)
	if err != nil {
		return err
	}
	*address = listener.Addr().String()
	return floor.ServeHandshakes(listener, args.Identity)
}

// ServeEcho starts the bare server, and answers where it serves.
func (w *Worker) ServeEcho(args FloorArgs) (address string, err error) {
	err = w.call("Floor.ServeEcho", args, &address)
	return address, err
}

// Broadcast sends to all streams, and answers when it began once all have answered.
func (w *Worker) Broadcast(args FloorArgs) (began time.Time, err error) {
	err = w.call("Floor.Broadcast", args, &began)
	return began, err
}

// DialEcho opens bare streams.
func (w *Worker) DialEcho(args FloorArgs) error { return w.call("Floor.DialEcho", args, new(none)) }

// TakeEcho answers when messages have come since the last time.
func (w *Worker) TakeEcho() (came []time.Time, err error) {
	err = w.call("Floor.TakeEcho", none(false), &came)
	return came, err
}

// Lost answers what became of bare streams that have ended; empty if none has.
func (w *Worker) Lost() (what string, err error) {
	err = w.call("Floor.Lost", none(false), &what)
	return what, err
}

// Beat has the streams say something so often, from now on.
func (w *Worker) Beat(args FloorArgs) error { return w.call("Floor.Beat", args, new(none)) }

// ServeHandshakes starts the other side of floor.Handshakes, and answers where it serves.
func (w *Worker) ServeHandshakes(args FloorArgs) (address string, err error) {
	err = w.call("Floor.ServeHandshakes", args, &address)
	return address, err
}
