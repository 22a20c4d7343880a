package api

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/simplelru"
	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// rateBurst is how many seconds' worth of calls may come at once: a pipeline that has been idle, a page that opens.
	rateBurst = 10
	// ratesKept is how many identities, and how many addresses, are counted at once; each costs some 200 bytes. Whoever was seen least
	// lately is forgotten, and so begins anew: with fewer calls than there are others, it has had little.
	ratesKept = 8192
	// forwardedKey is the metadata in which the gateway's library passes on where a REST call came from: the last entry is its own,
	// those before are the caller's.
	forwardedKey = "x-forwarded-for"
	// siteBits are those of an IPv6 address that one customer of a provider has: it may call from any address below.
	siteBits = 64
)

// rates bounds how often each of many may do something.
type rates struct {
	limit rate.Limit
	burst int

	mu sync.Mutex
	by *simplelru.LRU // of *rate.Limiter; mu
}

// newRates allows each so many a second, and any number if that is negative.
func newRates(perSecond int) (*rates, error) {
	by, err := simplelru.NewLRU(ratesKept, nil)
	if err != nil {
		return nil, err
	}
	r := &rates{limit: rate.Limit(perSecond), burst: perSecond * rateBurst, by: by}
	if perSecond < 0 {
		r.limit, r.burst = rate.Inf, 0
	}
	return r, nil
}

// take counts one, and answers how long whom it is for has to wait before the next try; 0 if this one is allowed. What is refused costs nothing.
func (r *rates) take(who string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	limiter, _ := r.by.Get(who)
	if limiter == nil {
		limiter = rate.NewLimiter(r.limit, r.burst)
		r.by.Add(who, limiter)
	}
	reservation := limiter.(*rate.Limiter).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// admit identifies the caller, and refuses one that calls too often. A caller whom nobody knows is counted by its address, and told only to come
// back later once that has failed too often. Whoever is known is let in from there all the same: behind one address may be an office, or a load
// balancer with everybody behind it, and nobody may lock them out by failing.
func (s *Server) admit(ctx context.Context, c *call) error {
	who, err := s.authenticate(ctx)
	if status.Code(err) == codes.Unauthenticated {
		if often := s.failed(addressOf(ctx)); often != nil {
			return often
		}
	}
	if err != nil {
		return err
	}
	c.who = who
	if wait := s.calls.take(who.Actor(), s.cfg.Clock()); wait > 0 {
		return tooOften(fmt.Sprintf("calls have come from %s", clip(who.Actor())), wait)
	}
	return nil
}

// Stranger counts a request beside the calls that shows no credential, by where it comes from (host:port); the error refuses one too many.
func (s *Server) Stranger(remote string) error {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = ""
	}
	if often := s.failed(ipIn(host)); often != nil {
		st, _ := toStatus(often, "")
		return st.Err()
	}
	return nil
}

// failed counts a request whose sender nobody knows, by its address.
func (s *Server) failed(address string) error {
	if wait := s.failures.take(site(address), s.cfg.Clock()); wait > 0 {
		return tooOften("calls without a credential that is known here have come from this address", wait)
	}
	return nil
}

// tooOften refuses a call because of those before it.
func tooOften(what string, wait time.Duration) error {
	return refuse(codes.ResourceExhausted, reasonRate, nil, fmt.Sprintf("too many %s; slow down", what),
		&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
}

// addressOf is the IP that a call came from; empty if nobody knows.
func addressOf(ctx context.Context) string {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	host := ""
	if from.Addr.Network() == "bufconn" {
		md, _ := metadata.FromIncomingContext(ctx)
		hops := strings.Split(strings.Join(md.Get(forwardedKey), ","), ",")
		host = strings.TrimSpace(hops[len(hops)-1])
	} else if h, _, err := net.SplitHostPort(from.Addr.String()); err == nil {
		host = h
	}
	return ipIn(host)
}

// ipIn is the one way in which an IP is written; empty where there is none.
func ipIn(host string) string {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return address.Unmap().String()
}

// site is what addresses are counted by.
func site(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Is4() {
		return address
	}
	prefix, err := ip.WithZone("").Prefix(siteBits)
	if err != nil {
		return address
	}
	return prefix.String()
}
