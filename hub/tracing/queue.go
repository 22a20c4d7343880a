package tracing

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// maxQueue is how many spans wait, of about a kilobyte each: those of some seconds at full load.
	maxQueue = 4096
	// maxBatch is how many are sent at once, and batchTime how long the first of them waits for others.
	maxBatch  = 512
	batchTime = 2 * time.Second
	// sendTime bounds one attempt to send, in which the exporter tries again by itself.
	sendTime = 10 * time.Second
	// flushTime is how long a hub that stops goes on sending: a collector that is away is not to hold it up.
	flushTime = 3 * time.Second
)

// queue is where spans wait. The library's own does not say how many it has dropped.
type queue struct {
	exporter *otlptrace.Exporter
	log      *slog.Logger
	spans    chan sdk.ReadOnlySpan
	// sent, dropped and failed count spans by what has become of them.
	sent, dropped, failed prometheus.Counter
	// away belongs to run: the last batch could not be sent.
	away bool
}

func newQueue(exporter *otlptrace.Exporter, log *slog.Logger, registerer prometheus.Registerer) (*queue, error) {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "yardarm_trace_spans_total", Help: "Spans by what has become of them: sent, dropped since too many waited, or failed to be sent.",
	}, []string{"outcome"})
	if registerer != nil {
		if err := registerer.Register(outcomes); err != nil {
			return nil, err
		}
	}
	return &queue{exporter: exporter, log: log, spans: make(chan sdk.ReadOnlySpan, maxQueue),
		sent: outcomes.WithLabelValues("sent"), dropped: outcomes.WithLabelValues("dropped"), failed: outcomes.WithLabelValues("failed")}, nil
}

// OnStart implements sdk.SpanProcessor.
func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor. It never waits.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.dropped.Inc()
	}
}

// Shutdown and ForceFlush implement sdk.SpanProcessor; run does their work.
func (q *queue) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (q *queue) ForceFlush(context.Context) error { return nil }

// run sends what waits until ctx ends, and what is left then within flushTime.
func (q *queue) run(ctx context.Context) {
	// sending ends some time after ctx does, so that neither a batch that is under way nor the last one holds up a hub that stops.
	sending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, end) })()
	if err := q.exporter.Start(sending); err != nil {
		q.log.Warn("no traces are sent", "error", err)
		return
	}
	for ctx.Err() == nil {
		if batch := q.batch(ctx); len(batch) > 0 {
			q.send(sending, batch)
		}
	}
	for batch := q.waiting(nil); len(batch) > 0 && sending.Err() == nil; batch = q.waiting(nil) {
		q.send(sending, batch)
	}
	if err := q.exporter.Shutdown(sending); err != nil && sending.Err() == nil {
		q.log.Warn("the connection to the collector of traces was not closed", "error", err)
	}
}

// batch waits for spans, and a moment for more. It is short, or empty, once ctx has ended.
func (q *queue) batch(ctx context.Context) []sdk.ReadOnlySpan {
	var batch []sdk.ReadOnlySpan
	var late <-chan time.Time
	for len(batch) < maxBatch {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); late == nil {
				timer := time.NewTimer(batchTime)
				defer timer.Stop()
				late = timer.C
			}
		case <-late:
			return batch
		case <-ctx.Done():
			return q.waiting(batch)
		}
	}
	return batch
}

// waiting adds what waits now, up to a batch.
func (q *queue) waiting(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	for len(batch) < maxBatch {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// send sends a batch, and says so when the collector goes away and when it is back.
func (q *queue) send(ctx context.Context, batch []sdk.ReadOnlySpan) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := q.exporter.ExportSpans(ctx, batch)
	if err != nil {
		q.failed.Add(float64(len(batch)))
	} else {
		q.sent.Add(float64(len(batch)))
	}
	switch {
	case err != nil && !q.away:
		q.log.Warn("traces cannot be sent, and are lost until they can; yardarm_trace_spans_total counts them", "error", err)
	case err == nil && q.away:
		q.log.Info("traces can be sent again")
	}
	q.away = err != nil
}
