package api

import (
	"testing"
	"time"
)

func TestSite(t *testing.T) {
	for address, want := range map[string]string{
		"": "", "192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "no address": "no address",
	} {
		if got := site(address); got != want {
			t.Errorf("%q is counted as %q, want %q", address, got, want)
		}
	}
}

// Those who are counted are bounded, however many come.
func TestRatesAreBounded(t *testing.T) {
	r, err := newRates(1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 2 * ratesKept {
		r.take(string(rune(i)), now)
	}
	if n := r.by.Len(); n != ratesKept {
		t.Errorf("%d are counted", n)
	}
	unlimited, err := newRates(-1)
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		if wait := unlimited.take("a", now); wait != 0 {
			t.Fatal(wait)
		}
	}
}
