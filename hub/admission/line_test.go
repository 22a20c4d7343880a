package admission

import "testing"

// Who has begun is served first, and each kind in the order in which it came. Regression: both waits of a handshake were behind all of a
// storm, and took longer together than clients wait.
func TestBegunGoesFirst(t *testing.T) {
	l := newLine(1)
	l.take(false)
	served := make(chan string)
	come := func(name string, begun bool) {
		waiting := l.waiting()
		go func() {
			l.take(begun)
			served <- name
		}()
		eventually(t, name+" waits", func() bool { return l.waiting() == waiting+1 })
	}
	come("first to come", false)
	come("second to come", false)
	come("first to go on", true)
	come("second to go on", true)
	for _, want := range []string{"first to go on", "second to go on", "first to come", "second to come"} {
		l.give()
		if got := <-served; got != want {
			t.Errorf("%q is served, want %q", got, want)
		}
	}
	l.give()
	l.take(false) // there is one core again
	l.give()
	if l.free != 1 {
		t.Errorf("%d cores, want 1", l.free)
	}
}

func (l *line) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun.Len() + l.fresh.Len()
}
