package store

import (
	"testing"
	"time"
)

// wait polls until a condition holds. The deadline is far beyond what any machine needs.
func wait(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}
