package api

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// denialsSoonest is how long after the first denied call of a quiet time the audit log tells of it, and of those that have followed. While they go on, it is
	// twice as long each time, up to denialsLatest: a caller that is denied all day makes a hundred entries of at most 10 KB.
	denialsSoonest = time.Minute
	denialsLatest  = 15 * time.Minute
	// maxDenials is how many rows of an entry tell denied calls apart; more are a sum. maxStrangers of them may be of callers whom nobody knows, who can come from
	// as many addresses as they like.
	maxDenials   = 32
	maxStrangers = 16
	// denialsLast is how long a stopping hub takes to write down what it has counted.
	denialsLast = 2 * time.Second

	reasonUnauthenticated = "UNAUTHENTICATED"
)

// denial is what denied calls are counted by. The address is that of a caller whom nobody knows, and else empty.
type denial struct{ who, address, method, reason string }

// denials count calls that were denied, in memory, and have the audit log tell of them now and then: an entry for each would let anybody fill the disk.
type denials struct {
	record          func(context.Context, []*storev1.AuditDenial, uint64) error
	log             *slog.Logger
	soonest, latest time.Duration
	counted         chan struct{} // holds a token once there is something to tell
	mu              sync.Mutex    // guards the rest
	rows            map[denial]*storev1.AuditDenial
	strangers       int // among rows
	more            uint64
}

func newDenials(record func(context.Context, []*storev1.AuditDenial, uint64) error, log *slog.Logger, soonest time.Duration) *denials {
	return &denials{record: record, log: log, soonest: soonest, latest: denialsLatest / denialsSoonest * soonest,
		counted: make(chan struct{}, 1), rows: map[denial]*storev1.AuditDenial{}}
}

// count counts calls in; row says how many, and when.
func (d *denials) count(of denial, row *storev1.AuditDenial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, stranger := d.rows[of], of.who == ""
	switch {
	case have != nil:
		have.Calls += row.Calls
		have.Address, have.Last, have.RequestId = row.Address, row.Last, row.RequestId
	case len(d.rows) >= maxDenials || stranger && d.strangers >= maxStrangers:
		d.more += row.Calls
	default:
		d.rows[of] = row
		if stranger {
			d.strangers++
		}
	}
	select {
	case d.counted <- struct{}{}:
	default:
	}
}

// Run writes down what is counted until ctx ends, and then the rest.
func (d *denials) Run(ctx context.Context) error {
	wait, written := d.soonest, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return d.end(ctx)
		case <-d.counted:
		}
		if time.Since(written) > wait {
			wait = d.soonest // there was a quiet time
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return d.end(ctx)
		case <-timer.C:
		}
		d.write(ctx)
		wait, written = min(2*wait, d.latest), time.Now()
	}
}

func (d *denials) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), denialsLast)
	defer cancel()
	d.write(ctx)
	return nil
}

// write makes an entry of what is counted, and goes on counting it where that fails.
func (d *denials) write(ctx context.Context) {
	d.mu.Lock()
	rows, more := d.rows, d.more
	d.rows, d.strangers, d.more = map[denial]*storev1.AuditDenial{}, 0, 0
	d.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	// The most frequent first.
	told := slices.SortedFunc(maps.Values(rows), func(a, b *storev1.AuditDenial) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Who, b.Who), strings.Compare(a.Method, b.Method), strings.Compare(a.Address, b.Address))
	})
	if err := d.record(ctx, told, more); err != nil {
		d.log.Warn("denied calls are not in the audit log yet; it is tried again", "error", err)
		for of, row := range rows {
			d.count(of, row)
		}
		d.mu.Lock()
		d.more += more
		d.mu.Unlock()
	}
}

// countDenied counts a call that has ended so, if it was denied.
func (s *Server) countDenied(ctx context.Context, c call, st *status.Status) {
	reason := denialReason(st)
	if reason == "" {
		return
	}
	now, address := timestamppb.New(s.cfg.Clock()), addressOf(ctx)
	of := denial{who: clip(c.who.Actor()), method: c.method, reason: reason}
	if of.who == "" {
		address = site(address)
		of.address = address
	}
	s.denials.count(of, &storev1.AuditDenial{Who: of.who, Address: address, Method: of.method, Reason: reason, Calls: 1, First: now, Last: now, RequestId: c.id})
}

// denialReason is empty for what is no denial.
func denialReason(st *status.Status) string {
	switch st.Code() {
	case codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted:
	default:
		return ""
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if ok && (st.Code() != codes.ResourceExhausted || info.Reason == reasonRate) {
			return info.Reason
		}
	}
	if st.Code() == codes.Unauthenticated {
		return reasonUnauthenticated
	}
	return ""
}
