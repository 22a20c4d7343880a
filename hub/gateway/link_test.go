package gateway

import (
	"errors"
	"testing"
	"time"
)

func TestLinks(t *testing.T) {
	l, now := newLinks(), time.Unix(1e9, 0)
	code, err := l.make("token", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.redeem(code, now.Add(linkLife)); ok {
		t.Error("a code is good for longer than it should be")
	}
	if _, ok := l.redeem(code, now); ok {
		t.Error("a code that was tried too late is good after that")
	}
	for range maxLinks {
		if _, err := l.make("token", now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.make("token", now); !errors.Is(err, errLinks) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := l.make("token", now.Add(linkLife)); err != nil {
		t.Errorf("once the others have ended: %v", err)
	}
}
