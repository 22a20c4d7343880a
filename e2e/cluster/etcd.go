package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

// etcd is the one store of a fleet. Each API server has a key prefix of its own in it.
type etcd struct {
	process *process.Process
	url     string
	ports   [2]process.Port // client, peer
}

// startEtcd starts etcd with its data in dir, and returns when it serves. Unless durable, it does not
// fsync: what it holds survives its own end but not the machine's.
func startEtcd(ctx context.Context, bin *Bin, dir string, durable bool) (_ *etcd, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	e := new(etcd)
	for i := range e.ports {
		if e.ports[i], err = process.ReservePort(); err != nil {
			for _, reserved := range e.ports[:i] {
				reserved.Release()
			}
			return nil, err
		}
	}
	e.url = fmt.Sprintf("http://127.0.0.1:%d", e.ports[0].Number)
	peer := fmt.Sprintf("http://127.0.0.1:%d", e.ports[1].Number)
	args := []string{
		"--name=fleet",
		"--data-dir=" + filepath.Join(dir, "data"),
		"--listen-client-urls=" + e.url,
		"--advertise-client-urls=" + e.url,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=fleet=" + peer,
		"--socket-reuse-port",
		"--quota-backend-bytes=4294967296", // a benchmark writes more than the default 2 GiB holds
		"--log-level=warn",
	}
	if !durable {
		args = append(args, "--unsafe-no-fsync")
	}
	e.process, err = process.Start(process.Program{Path: bin.Path("etcd"), Args: args, Dir: dir})
	if err != nil {
		return nil, errors.Join(err, e.stop())
	}
	client := newClient(e.url, nil, "")
	if err := awaitReady(ctx, e.process, func(ctx context.Context) error {
		return client.get(ctx, "/readyz", nil)
	}); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

// stop ends etcd and gives its ports back.
func (e *etcd) stop() error {
	var err error
	if e.process != nil {
		err = e.process.Stop()
	}
	for _, p := range e.ports {
		p.Release()
	}
	return err
}
