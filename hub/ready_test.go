package hub

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLives(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		left, least time.Duration
		want        string
	}{
		{30 * day, 7 * day, ""},
		{3 * day, 7 * day, "expires in 72h0m0s; do something"},
		{3 * day, 0, ""},
		{-time.Second, 0, "has expired; do something"},
	} {
		err := lives("it", time.Now().Add(c.left), c.least, "do something")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v left, %v needed: %v", c.left, c.least, err)
		}
	}
}

func TestDiskLeft(t *testing.T) {
	dir := t.TempDir()
	if err := diskLeft(dir, 1); err != nil {
		t.Error(err)
	}
	if err := diskLeft(dir, math.MaxUint64); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("a full disk: %v", err)
	}
	if err := diskLeft(filepath.Join(dir, "nowhere"), 1); err == nil {
		t.Error("a disk that is not there has room")
	}
}
