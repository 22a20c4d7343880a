package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/floor"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/worker"
)

// framing is about what TLS, HTTP/2 and gRPC add to a small message, in bytes at the socket: bare messages are made that
// much smaller than those of Yardarm that they are compared with.
const framing = 40

// echo is what the bare fan-out has shown.
type echo struct {
	p50, p99 time.Duration
	cpu      time.Duration // of both sides, for one fan-out
	// memory is the server's resident memory for each stream, in bytes.
	memory int64
	// slope is what each stream of the second half has added to it.
	slope int64
}

// bareFleet is a bare server, the first of the workers, and clients of it.
type bareFleet struct {
	Config
	id      floor.Identity
	address string
	workers []*worker.Worker
	streams int
}

// newBareFleet starts the server.
func newBareFleet(c Config) (*bareFleet, error) {
	id, err := floor.NewIdentity()
	if err != nil {
		return nil, err
	}
	b := &bareFleet{Config: c, id: id}
	server, err := b.start("floor-server")
	if err != nil {
		return nil, err
	}
	if b.address, err = server.ServeEcho(worker.FloorArgs{Identity: id, Address: fmt.Sprintf("127.%d.0.1:0", firstNetwork-1)}); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bareFleet) start(name string) (*worker.Worker, error) {
	w, err := worker.Start(filepath.Join(b.Dir, name))
	if err == nil {
		b.workers = append(b.workers, w)
	}
	return w, err
}

func (b *bareFleet) server() *worker.Worker    { return b.workers[0] }
func (b *bareFleet) clients() []*worker.Worker { return b.workers[1:] }

// dial opens n more streams, which answer size bytes.
func (b *bareFleet) dial(n, size int) error {
	for n > 0 {
		i := len(b.clients())
		client, err := b.start(fmt.Sprintf("floor-clients-%d", i))
		if err != nil {
			return err
		}
		some := min(n, b.PerProcess)
		if err := client.DialEcho(worker.FloorArgs{Identity: b.id, Address: b.address, Network: firstNetwork + i, N: some, Size: size}); err != nil {
			return err
		}
		n, b.streams = n-some, b.streams+some
	}
	return nil
}

// broadcast sends so many bytes at the socket to all streams, and answers when it began. If some do not answer, the error tells what the clients know of it.
func (b *bareFleet) broadcast(bytes float64) (began time.Time, err error) {
	began, err = b.server().Broadcast(worker.FloorArgs{Size: message(bytes), Timeout: patience})
	if err == nil {
		return began, nil
	}
	for i, client := range b.clients() {
		if what, failed := client.Lost(); failed != nil {
			err = fmt.Errorf("%w; clients %d: %w", err, i, failed)
		} else if what != "" {
			err = fmt.Errorf("%w; clients %d: %s", err, i, what)
		}
	}
	return began, err
}

func (b *bareFleet) close() (err error) {
	for _, w := range b.workers {
		err = errors.Join(err, w.Stop())
	}
	return err
}

// message is how large a bare message is made of which so many bytes are wanted at the socket.
func message(bytes float64) int { return max(int(bytes)-framing, 1) }

// echoFloor measures a bare fan-out of down bytes at the socket to n streams, each of which answers up bytes, rounds times.
// Bytes are the same both ways, and so are messages down. A spoke answers with two, that it has the delta and how its bundle is, and the bare client with one
// as large as both: a floor is what is least.
func echoFloor(ctx context.Context, c Config, n int, down, up float64, rounds int) (out echo, err error) {
	b, err := newBareFleet(c)
	if err != nil {
		return echo{}, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	before, err := measure.MemoryOf(b.server().PID())
	if err != nil {
		return echo{}, err
	}
	half := max(n/2, 1)
	if err := b.dial(half, message(up)); err != nil {
		return echo{}, err
	}
	between, err := b.settled(down)
	if err != nil {
		return echo{}, err
	}
	if err := b.dial(n-half, message(up)); err != nil {
		return echo{}, err
	}
	var samples []time.Duration
	var spent time.Duration
	for range rounds {
		cpuBefore, err := cpuOf(b.workers)
		if err != nil {
			return echo{}, err
		}
		began, err := b.broadcast(down)
		if err != nil {
			return echo{}, err
		}
		cpuAfter, err := cpuOf(b.workers)
		if err != nil {
			return echo{}, err
		}
		spent += cpuAfter - cpuBefore
		for _, client := range b.clients() {
			came, err := client.TakeEcho()
			if err != nil {
				return echo{}, err
			}
			for _, at := range came {
				samples = append(samples, at.Sub(began))
			}
		}
	}
	after, err := measure.MemoryOf(b.server().PID())
	if err != nil {
		return echo{}, err
	}
	out = echo{measure.Percentile(samples, 0.5), measure.Percentile(samples, 0.99), spent / time.Duration(rounds), (after.Resident - before.Resident) / int64(n), (after.Resident - between.Resident) / int64(max(n-half, 1))}
	c.say("floor: bare fan-out to %d streams: p50 %s, p99 %s, CPU %s, %d bytes of memory a stream", n, short(out.p50), short(out.p99), short(out.cpu), out.memory)
	return out, nil
}

// settled answers the server's memory after a few messages to its streams.
func (b *bareFleet) settled(down float64) (measure.Memory, error) {
	for range 5 {
		if _, err := b.broadcast(down); err != nil {
			return measure.Memory{}, err
		}
	}
	for _, client := range b.clients() {
		if _, err := client.TakeEcho(); err != nil { // of no interest
			return measure.Memory{}, err
		}
	}
	return measure.MemoryOf(b.server().PID())
}

// beat is how often a spoke says that it is there, and beatBytes about what it says takes at the socket.
const (
	beat      = 30 * time.Second
	beatBytes = 50
)

// beatFloor measures what a bare server with n streams takes of a core that hears from each of them as often as a hub hears from its spokes.
func beatFloor(ctx context.Context, c Config, n int) (percent float64, err error) {
	b, err := newBareFleet(c)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.dial(n, message(beatBytes)); err != nil {
		return 0, err
	}
	for _, client := range b.clients() {
		if err := client.Beat(worker.FloorArgs{Every: beat}); err != nil {
			return 0, err
		}
	}
	if err := pause(ctx, min(beat, c.Idle)); err != nil { // what the handshakes have left behind is collected
		return 0, err
	}
	began := time.Now()
	before, err := measure.CPU(b.server().PID())
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, c.Idle); err != nil {
		return 0, err
	}
	after, err := measure.CPU(b.server().PID())
	if err != nil {
		return 0, err
	}
	percent = 100 * (after - before).Seconds() / time.Since(began).Seconds()
	c.say("floor: %d bare streams that beat take %.1f %% of a core", n, percent)
	return percent, nil
}

func cpuOf(workers []*worker.Worker) (sum time.Duration, err error) {
	for _, w := range workers {
		d, err := measure.CPU(w.PID())
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// shakes is how many handshakes are made to measure their rate.
const shakes = 2000

// handshakeFloor answers how many bare handshakes a second the machine makes, both sides on it: full and resumed.
func handshakeFloor(ctx context.Context, c Config) (full, resumed float64, err error) {
	id, err := floor.NewIdentity()
	if err != nil {
		return 0, 0, err
	}
	server, err := worker.Start(filepath.Join(c.Dir, "floor-handshakes"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	address, err := server.ServeHandshakes(worker.FloorArgs{Identity: id, Address: fmt.Sprintf("127.%d.0.1:0", firstNetwork-1)})
	if err != nil {
		return 0, 0, err
	}
	full, resumed, err = floor.Handshakes(ctx, address, id, min(shakes, 10*c.Spokes))
	c.say("floor: %.0f full and %.0f resumed handshakes a second", full, resumed)
	return full, resumed, err
}
