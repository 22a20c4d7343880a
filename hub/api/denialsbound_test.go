package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// TestDenialsAreBounded counts ten thousand denied calls, of more callers than rows, and loses none of them: they are one entry. Strangers take no more than their
// part of the rows.
func TestDenialsAreBounded(t *testing.T) {
	db, err := store.Open(store.Config{Dir: t.TempDir(), Audit: &store.Audit{Key: []byte("key")}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := newDenials(db.AuditDenials, slog.New(slog.DiscardHandler), time.Minute)
	for i := range 4000 {
		d.count(denial{address: fmt.Sprint(i)}, &storev1.AuditDenial{Calls: 1})
	}
	for i := range 3000 {
		for range 2 {
			d.count(denial{who: fmt.Sprint("token/", i)}, &storev1.AuditDenial{Who: fmt.Sprint("token/", i), Calls: 1})
		}
	}
	d.write(t.Context())
	var told []*storev1.AuditDenial
	strangers, sum := 0, uint64(0)
	for e, err := range db.AuditEntries(0) {
		if err != nil || e.Sequence != 1 {
			t.Fatalf("entry %d: %v", e.GetSequence(), err)
		}
		told, sum = e.Denials, e.MoreDenied
	}
	for i, row := range told {
		if row.Who == "" {
			strangers++
		}
		if i > 0 && row.Calls > told[i-1].Calls {
			t.Errorf("row %d has %d calls, after one of %d", i, row.Calls, told[i-1].Calls)
		}
		sum += row.Calls
	}
	if len(told) != maxDenials || strangers != maxStrangers || sum != 10_000 {
		t.Errorf("%d rows, %d of strangers, %d calls; want %d, %d, 10000", len(told), strangers, sum, maxDenials, maxStrangers)
	}
}

// TestDenialsAreRare lets one be denied all day: the log is told seldom, of all of them, also of those that it could not be told of at once.
func TestDenialsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		began, told, attempts := time.Now(), uint64(0), 0
		var at []time.Duration
		d := newDenials(func(_ context.Context, rows []*storev1.AuditDenial, more uint64) error {
			if attempts++; attempts == 2 {
				return errors.New("the disk is full")
			}
			at = append(at, time.Since(began).Round(time.Minute))
			told += rows[0].Calls + more
			return nil
		}, slog.New(slog.DiscardHandler), time.Minute)
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		calls := uint64(0)
		deny := func() {
			d.count(denial{who: "token/ci"}, &storev1.AuditDenial{Who: "token/ci", Calls: 1})
			calls++
		}
		for range 24 * 60 {
			deny()
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if len(at) > 110 || len(at) < 90 {
			t.Errorf("%d entries in a day: %v", len(at), at)
		}
		if at[0] != time.Minute || at[len(at)-1]-at[len(at)-2] != 15*time.Minute {
			t.Errorf("entries are made at %v", at)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		written := len(at)
		deny()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if len(at) != written+1 {
			t.Errorf("%d entries after a quiet hour, want %d", len(at), written+1)
		}
		deny()
		synctest.Wait()
		stop()
		if err := <-done; err != nil || told != calls {
			t.Errorf("%d of %d calls are told of: %v", told, calls, err)
		}
	})
}
