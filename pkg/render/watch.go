package render

import (
	"fmt"
	"os"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// watchEvery is how often a process looks at what it takes: a template fills a hundred megabytes in less than a second.
const watchEvery = 5 * time.Millisecond

// watch says that too much is taken while there is still room to say where: templates ask it in each round of a loop. What does not ask is ended at
// the limit itself.
type watch struct {
	reason atomic.Pointer[string]
	done   chan struct{}
}

func newWatch(limits Limits) *watch {
	w := &watch{done: make(chan struct{})}
	go w.run(limits)
	return w
}

func (w *watch) stop() { close(w.done) }

// exceeded is what is taken too much of; "" while nothing is.
func (w *watch) exceeded() string {
	if r := w.reason.Load(); r != nil {
		return *r
	}
	return ""
}

func (w *watch) run(limits Limits) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	// Mapped for anything, but for what was given back.
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	began := time.Now()
	tell := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		w.reason.CompareAndSwap(nil, &text)
	}
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
		}
		metrics.Read(sample)
		taken := int(sample[0].Value.Uint64() - sample[1].Value.Uint64())
		switch {
		case taken > limits.Memory:
			os.Exit(exitMemory)
		case taken > limits.Memory/4*3:
			tell("takes more than %d MiB of memory to render", limits.Memory>>20)
		case time.Since(began) > limits.Time:
			tell("takes longer than %s to render", limits.Time)
		}
	}
}
