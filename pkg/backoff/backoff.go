// Package backoff says how long to wait before a failed action is tried again: a random time under a bound that doubles
// with each failure (full jitter), so that many who failed at one moment do not all come back at another.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Backoff counts failures. The zero value waits not at all. It is not safe for concurrent use.
type Backoff struct {
	// Base bounds the first wait, Max every wait.
	Base, Max time.Duration

	failures int
}

// Next counts a failure and answers how long to wait: between a tenth of the bound, since an immediate second try
// seldom helps, and the bound.
func (b *Backoff) Next() time.Duration {
	bound := b.Base
	for i := 0; i < b.failures && bound < b.Max; i++ {
		bound *= 2
	}
	b.failures++
	return Jitter(min(bound, b.Max))
}

// Reset forgets all failures.
func (b *Backoff) Reset() { b.failures = 0 }

// Failures answers how many there were since Reset.
func (b *Backoff) Failures() int { return b.failures }

// Jitter answers a random time between a tenth of bound and bound.
func Jitter(bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	least := bound / 10
	return least + rand.N(bound-least)
}
