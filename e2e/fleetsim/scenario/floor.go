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

// echoFloor measures a bare fan-out of down bytes at the socket to n streams, each of which answers up bytes, rounds times.
func echoFloor(ctx context.Context, c Config, n int, down, up float64, rounds int) (out echo, err error) {
	id, err := floor.NewIdentity()
	if err != nil {
		return echo{}, err
	}
	var workers []*worker.Worker
	defer func() {
		for _, w := range workers {
			err = errors.Join(err, w.Stop())
		}
	}()
	start := func(name string) (*worker.Worker, error) {
		w, err := worker.Start(filepath.Join(c.Dir, name))
		if err == nil {
			workers = append(workers, w)
		}
		return w, err
	}
	server, err := start("floor-server")
	if err != nil {
		return echo{}, err
	}
	address, err := server.ServeEcho(worker.FloorArgs{Identity: id, Address: fmt.Sprintf("127.%d.0.1:0", firstNetwork-1)})
	if err != nil {
		return echo{}, err
	}
	before, err := measure.MemoryOf(server.PID())
	if err != nil {
		return echo{}, err
	}
	half := max(n/2, 1)
	between := before
	for left, i := n, 0; left > 0; i++ {
		client, err := start(fmt.Sprintf("floor-clients-%d", i))
		if err != nil {
			return echo{}, err
		}
		some := min(left, c.PerProcess)
		if n-left < half {
			some = min(some, half-(n-left))
		}
		left -= some
		if err := client.DialEcho(worker.FloorArgs{Identity: id, Address: address, Network: firstNetwork + i, N: some, Size: max(int(up)-framing, 1)}); err != nil {
			return echo{}, err
		}
		if n-left == half {
			if between, err = settledEcho(workers, down); err != nil {
				return echo{}, err
			}
		}
	}
	var samples []time.Duration
	var spent time.Duration
	for range rounds {
		cpuBefore, err := cpuOf(workers)
		if err != nil {
			return echo{}, err
		}
		began, err := server.Broadcast(worker.FloorArgs{Size: max(int(down)-framing, 1), Timeout: patience})
		if err != nil {
			return echo{}, err
		}
		cpuAfter, err := cpuOf(workers)
		if err != nil {
			return echo{}, err
		}
		spent += cpuAfter - cpuBefore
		for _, client := range workers[1:] {
			came, err := client.TakeEcho()
			if err != nil {
				return echo{}, err
			}
			for _, at := range came {
				samples = append(samples, at.Sub(began))
			}
		}
	}
	after, err := measure.MemoryOf(server.PID())
	if err != nil {
		return echo{}, err
	}
	out = echo{measure.Percentile(samples, 0.5), measure.Percentile(samples, 0.99), spent / time.Duration(rounds), (after.Resident - before.Resident) / int64(n), (after.Resident - between.Resident) / int64(max(n-half, 1))}
	c.say("floor: bare fan-out to %d streams: p50 %s, p99 %s, CPU %s, %d bytes of memory a stream", n, short(out.p50), short(out.p99), short(out.cpu), out.memory)
	return out, nil
}

// settledEcho answers the memory of a bare server, the first of the workers, after a few messages to its streams.
func settledEcho(workers []*worker.Worker, down float64) (measure.Memory, error) {
	server, clients := workers[0], workers[1:]
	for range 5 {
		if _, err := server.Broadcast(worker.FloorArgs{Size: max(int(down)-framing, 1), Timeout: patience}); err != nil {
			return measure.Memory{}, err
		}
	}
	for _, client := range clients {
		if _, err := client.TakeEcho(); err != nil { // of no interest
			return measure.Memory{}, err
		}
	}
	return measure.MemoryOf(server.PID())
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
