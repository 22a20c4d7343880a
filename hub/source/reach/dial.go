package reach

import (
	"context"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/hub/local"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// DialTimeout is how long a server may take to accept a connection.
const DialTimeout = 10 * time.Second

// Dialer connects to servers, as far as they are allowed.
type Dialer struct {
	// Hosts are the names that may be dialled; one that begins with "*." stands for all below it. All when empty.
	Hosts []string
	// Local allows addresses of this machine and its link, where services listen that take whoever reaches them for a friend.
	Local bool
}

// Allows tells whether a host may be dialled, by its name.
func (d *Dialer) Allows(host string) bool {
	host = strings.ToLower(host)
	return len(d.Hosts) == 0 || slices.ContainsFunc(d.Hosts, func(allowed string) bool {
		allowed = strings.ToLower(allowed)
		below, any := strings.CutPrefix(allowed, "*")
		return host == allowed || any && strings.HasSuffix(host, below)
	})
}

func (d *Dialer) refuses(host string) error {
	return Failed(yardarmv1.SourceNotAllowed, "the hub's --source-host does not allow %s", host)
}

// Dial connects to HOST:PORT. The address is judged when it is dialled, and not when its name is looked up: a name can mean another one by then.
func (d *Dialer) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !d.Allows(host) {
		return nil, d.refuses(host)
	}
	dialer := net.Dialer{Timeout: DialTimeout, Control: func(_, address string, _ syscall.RawConn) error { return d.check(address) }}
	return dialer.DialContext(ctx, network, address)
}

// check refuses addresses that lead to the hub's own machine, or to services of its link such as a cloud's metadata.
func (d *Dialer) check(address string) error {
	ip, is, err := local.Address(address)
	if err != nil || !is || d.Local {
		return err
	}
	return Failed(yardarmv1.SourceNotAllowed, "the address %s is of the hub's own machine or link, or a cloud's metadata, where sources may not be (--source-local allows it)", ip)
}
