package event

import (
	"maps"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

const (
	// queueLimit bounds the events that wait, to some 300 KB in all.
	queueLimit = 256
	// burst is how many events a bundle may write at once, and then one each refill: a failing revision tells of its first
	// objects at once, and of hundreds within minutes.
	burst  = 25
	refill = 2 * time.Second
	// repeatEvery is the least time between two writes of one event, which counts how often it was said in between.
	repeatEvery = time.Minute
	// outdated is how long an event waits at most, for its turn or for the API server: later it is told by the report alone.
	outdated = 10 * time.Minute
	// toldLimit bounds what is remembered of events that were written, and toldFor how long: as long as an API server
	// keeps an event.
	toldLimit = 512
	toldFor   = time.Hour
)

// queue holds what is to be written. It is no more than data: the Recorder locks it.
type queue struct {
	pending []*pending // the oldest first
	told    map[key]told
	rates   map[string]*rate.Limiter // by bundle, of those that have used theirs
}

// pending is an event that waits.
type pending struct {
	Event
	key   key
	count int // how often it was said
	first time.Time
	last  time.Time
}

// told is what is known of an event that was written.
type told struct {
	count int
	at    time.Time
}

func newQueue() *queue {
	return &queue{told: map[key]told{}, rates: map[string]*rate.Limiter{}}
}

// put adds an event, or counts it if it waits already. It answers how many were dropped for it.
func (q *queue) put(e Event, now time.Time) (dropped int) {
	k := e.key()
	if i := slices.IndexFunc(q.pending, func(p *pending) bool { return p.key == k }); i >= 0 {
		q.pending[i].count++
		q.pending[i].last = now
		return 0
	}
	if len(q.pending) >= queueLimit {
		q.pending = slices.Delete(q.pending, 0, 1)
		dropped = 1
	}
	q.pending = append(q.pending, &pending{Event: e, key: k, count: 1, first: now, last: now})
	return dropped
}

// next takes the first event whose turn it is. If there is none, it answers in how long there may be: never, if 0.
func (q *queue) next(now time.Time) (p *pending, wait time.Duration, dropped int) {
	before := len(q.pending)
	q.pending = slices.DeleteFunc(q.pending, func(p *pending) bool { return now.Sub(p.last) > outdated })
	dropped = before - len(q.pending)
	q.forget(now)
	for i, p := range q.pending {
		after := q.after(p, now)
		if after <= 0 {
			q.rates[p.Bundle].AllowN(now, 1)
			q.pending = slices.Delete(q.pending, i, i+1)
			return p, 0, dropped
		}
		if wait == 0 || after < wait {
			wait = after
		}
	}
	return nil, wait, dropped
}

// after answers in how long an event's turn comes.
func (q *queue) after(p *pending, now time.Time) time.Duration {
	if t, ok := q.told[p.key]; ok {
		if at := t.at.Add(repeatEvery); now.Before(at) {
			return at.Sub(now)
		}
	}
	r := q.rates[p.Bundle]
	if r == nil {
		r = rate.NewLimiter(rate.Every(refill), burst)
		q.rates[p.Bundle] = r
	}
	if missing := 1 - r.TokensAt(now); missing > 0 {
		return time.Duration(missing * float64(refill))
	}
	return 0
}

// forget drops what is of no use any more.
func (q *queue) forget(now time.Time) {
	maps.DeleteFunc(q.told, func(_ key, t told) bool { return now.Sub(t.at) > toldFor })
	maps.DeleteFunc(q.rates, func(_ string, r *rate.Limiter) bool { return r.TokensAt(now) >= burst })
}

// back returns an event that could not be written, to be the next one.
func (q *queue) back(p *pending) {
	if i := slices.IndexFunc(q.pending, func(other *pending) bool { return other.key == p.key }); i >= 0 {
		p.count, p.last = p.count+q.pending[i].count, q.pending[i].last
		q.pending = slices.Delete(q.pending, i, i+1)
	}
	q.pending = slices.Insert(q.pending, 0, p)
}

// wrote notes that an event is in the cluster, said so many times.
func (q *queue) wrote(k key, count int, now time.Time) {
	if _, ok := q.told[k]; !ok && len(q.told) >= toldLimit {
		var oldest key
		for k, t := range q.told {
			if oldest == "" || t.at.Before(q.told[oldest].at) {
				oldest = k
			}
		}
		delete(q.told, oldest)
	}
	q.told[k] = told{count, now}
}

// oldest answers since when the event waits that waits longest; zero if none does.
func (q *queue) oldest() time.Time {
	if len(q.pending) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(q.pending, func(a, b *pending) int { return a.first.Compare(b.first) }).first
}
