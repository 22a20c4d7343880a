package drive

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A driver looks as seldom as its looks are long, however often clusters report, and at the last report as at the first. Time is synctest's.
func TestDriverRests(t *testing.T) {
	const (
		every  = 5 * time.Millisecond
		during = 7 * time.Second
	)
	for _, c := range []struct {
		name         string
		takes, apart time.Duration
	}{
		{"a look that takes no time", 0, every},
		{"a look that takes some", 10 * time.Millisecond, 110 * time.Millisecond},
		{"a look that takes long", 200 * time.Millisecond, 200*time.Millisecond + maxRest},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, 1, nil).publish()
				h.report("c0", yardarmv1.PhaseReady)
				h.step().expect("1 Completed")
				var looks []time.Time
				d, err := New(Config{Store: h.store, Logger: slog.New(slog.DiscardHandler), Elapsed: func() time.Duration { return h.now }, Clock: func() time.Time {
					looks = append(looks, time.Now())
					time.Sleep(c.takes)
					return h.time()
				}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- d.Run(ctx) }()

				synctest.Wait()
				began := time.Now()
				var reported time.Time
				for time.Since(began) < during {
					reported = time.Now()
					h.report("c0", []string{yardarmv1.PhaseReady, yardarmv1.PhaseProgressing}[time.Since(began)/every%2])
					time.Sleep(every)
				}
				time.Sleep(2 * (c.takes + maxRest))
				stop()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if want := int(during / c.apart); len(looks) < want || len(looks) > want+2 { // one before the first report, and one after the last
					t.Errorf("%d looks in %s, want one each %s", len(looks), during, c.apart)
				}
				if last := looks[len(looks)-1]; last.Before(reported) {
					t.Errorf("the last look is %s before the last report", reported.Sub(last))
				}
			})
		})
	}
}
