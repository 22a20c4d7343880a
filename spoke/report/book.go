// Package report keeps the newest report about each bundle, for whoever sends them to the hub. The latest wins: nothing is
// queued, so a slow or absent hub costs nothing and misses only what has been overtaken.
package report

import (
	"crypto/sha256"
	"maps"
	"slices"
	"sync"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Book holds the newest report of each bundle. Safe for concurrent use; reports are not changed once they are in it.
type Book struct {
	mu      sync.Mutex
	reports map[string]entry    // by bundle uid
	dirty   map[string]struct{} // changed or removed since TakeDirty
	since   time.Time           // since when there is something dirty
	changed chan struct{}
}

type entry struct {
	report *yardarmv1.Report
	hash   []byte // of all but observed_time
}

// NewBook makes an empty one.
func NewBook() *Book {
	return &Book{reports: map[string]entry{}, dirty: map[string]struct{}{}, changed: make(chan struct{}, 1)}
}

// Expect takes ownership of r, and sets it unless there is a report about its bundle already. With what a spoke holds in the
// book from its start, a bundle that is not there is one that is gone.
func (b *Book) Expect(r *yardarmv1.Report) { b.put(r, false) }

// Set takes ownership of r. A report that differs from the last one in its observed time only is no news.
func (b *Book) Set(r *yardarmv1.Report) { b.put(r, true) }

func (b *Book) put(r *yardarmv1.Report, replace bool) {
	hash := holdings.MessageHash(r, "observed_time")
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.reports[r.BundleUid]; ok && (!replace || slices.Equal(old.hash, hash)) {
		return
	}
	b.reports[r.BundleUid] = entry{r, hash}
	b.touch(r.BundleUid)
}

// Remove says that nothing of the bundle is left in the cluster.
func (b *Book) Remove(bundleUID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.reports[bundleUID]; ok {
		delete(b.reports, bundleUID)
		b.touch(bundleUID)
	}
}

func (b *Book) touch(bundleUID string) {
	if len(b.dirty) == 0 {
		b.since = time.Now()
	}
	b.dirty[bundleUID] = struct{}{}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Changed is signalled after each change; signals coalesce.
func (b *Book) Changed() <-chan struct{} { return b.changed }

// Age answers how long the oldest change has not been taken; 0 if all are.
func (b *Book) Age() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.dirty) == 0 {
		return 0
	}
	return time.Since(b.since)
}

// Hash identifies all reports together.
func (b *Book) Hash() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hash()
}

func (b *Book) hash() []byte {
	h := sha256.New()
	for _, uid := range slices.Sorted(maps.Keys(b.reports)) {
		h.Write(b.reports[uid].hash)
	}
	return h.Sum(nil)
}

// Update is what to tell the hub.
type Update struct {
	Reports []*yardarmv1.Report
	Removed []string
	// Hash identifies all reports as of this update.
	Hash []byte
}

// All answers every report, and counts them as told.
func (b *Book) All() Update {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.dirty)
	u := Update{Hash: b.hash()}
	for _, uid := range slices.Sorted(maps.Keys(b.reports)) {
		u.Reports = append(u.Reports, b.reports[uid].report)
	}
	return u
}

// Take answers what has changed since the last Take or All, and counts it as told; ok is false when nothing has. A session
// that then fails need not give it back: the next Hello's hash shows that the hub lacks it.
func (b *Book) Take() (u Update, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.dirty) == 0 {
		return Update{}, false
	}
	for _, uid := range slices.Sorted(maps.Keys(b.dirty)) {
		if e, ok := b.reports[uid]; ok {
			u.Reports = append(u.Reports, e.report)
		} else {
			u.Removed = append(u.Removed, uid)
		}
	}
	clear(b.dirty)
	u.Hash = b.hash()
	return u, true
}
