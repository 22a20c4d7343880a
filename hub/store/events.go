package store

import (
	"iter"
	"math"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxEvents is how many events are kept: some days of a quiet fleet, or the whole of a bad hour, in about 3 MB.
	maxEvents = 10_000
	// eventGap is what is left out of the sequence when a hub starts: more events than can be lost in a crash, since those of the last
	// flush interval are not on disk. So no two events that a watcher has seen share a sequence. 2^53, up to which JSON's readers are exact, is 8 billion
	// starts away.
	eventGap = 1 << 20
)

var events = durable(Events, soft, func(e *yardarmv1.Event) string { return eventKey(e.GetSequence()) }).
	in(ofTens, func(e *yardarmv1.Event) ends { return ends{last: eventKey(e.GetSequence())} })

// eventKey has as many digits as the largest sequence, so that keys are in order.
func eventKey(sequence uint64) string { return inDigits(sequence, 20) }

// Events yields the events after a sequence, ascending. 0 yields all that are kept.
func (tx *ReadTx) Events(after uint64) iter.Seq[*yardarmv1.Event] {
	if after == math.MaxUint64 {
		return func(func(*yardarmv1.Event) bool) {}
	}
	return events.from(tx, idIndex, eventKey(after+1))
}

// AddEvent adds an event and sets its sequence. The newest 10,000 are kept.
func (tx *Tx) AddEvent(e *yardarmv1.Event) error {
	if err := tx.allow(events); err != nil {
		return err
	}
	tx.state.eventSequence++
	e.Sequence = tx.state.eventSequence
	if _, err := events.put(tx, e); err != nil {
		return err
	}
	for tx.state.rows[Events] > maxEvents {
		oldest := first(events.scan(&tx.ReadTx, idIndex, ""))
		if _, err := events.remove(tx, events.key(oldest)); err != nil {
			return err
		}
	}
	return nil
}

// first returns the first row of a sequence, or nil.
func first[R any](seq iter.Seq[*R]) *R {
	for row := range seq {
		return row
	}
	return nil
}
