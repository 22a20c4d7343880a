package measure

import (
	"math"
	"os"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	samples := func(n int) []time.Duration {
		out := make([]time.Duration, n)
		for i := range out {
			out[i] = time.Duration(n - i) // n … 1
		}
		return out
	}
	for _, c := range []struct {
		samples int
		p       float64
		want    time.Duration
	}{
		{0, 0.5, 0}, {1, 0.5, 1}, {1, 0.99, 1}, {2, 0.5, 1}, {100, 0.5, 50}, {100, 0.99, 99}, {100, 1, 100}, {1000, 0.99, 990}, {10, 0.99, 10}, {10, 0, 1},
	} {
		if got := Percentile(samples(c.samples), c.p); got != c.want {
			t.Errorf("percentile %v of %d samples: got %d, want %d", c.p, c.samples, got, c.want)
		}
	}
}

func TestExponent(t *testing.T) {
	sizes := []float64{1000, 2000, 4000, 8000}
	for name, c := range map[string]struct {
		cost func(float64) float64
		want float64
	}{
		"constant":      {func(float64) float64 { return 7 }, 0},
		"in proportion": {func(n float64) float64 { return 3 * n }, 1},
		"quadratic":     {func(n float64) float64 { return n * n / 5 }, 2},
		"nothing":       {func(float64) float64 { return 0 }, 0},
	} {
		var costs []float64
		for _, n := range sizes {
			costs = append(costs, c.cost(n))
		}
		if got := Exponent(sizes, costs); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := Exponent(sizes[:1], []float64{1}); got != 0 {
		t.Errorf("one point: got %v, want 0", got)
	}
}

// TestSelf: this process has memory, and work costs it time.
func TestSelf(t *testing.T) {
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Peak < m.Resident {
		t.Errorf("memory: got %+v, %v", m, err)
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for began, n := time.Now(), 0; time.Since(began) < 20*time.Millisecond; n++ {
		_ = math.Sqrt(float64(n))
	}
	after, err := CPU(os.Getpid())
	if err != nil || after-before < time.Millisecond {
		t.Errorf("20 ms of work cost %v, %v", after-before, err)
	}
}

func TestParseStatus(t *testing.T) {
	m, err := parseStatus([]byte("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"))
	if err != nil || m != (Memory{Resident: 1 << 20, Peak: 2 << 20}) {
		t.Errorf("got %+v, %v", m, err)
	}
	for _, bad := range []string{"", "VmRSS: x kB\n"} {
		if m, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v", bad, m)
		}
	}
}

func TestCountSyncs(t *testing.T) {
	output := `100 fdatasync(9)       = 0
101 fsync(3 <unfinished ...>
100 fdatasync(9)       = 0
101 <... fsync resumed>)  = 0
102 +++ exited with 0 +++
`
	if n := countSyncs(output); n != 3 {
		t.Errorf("got %d, want 3", n)
	}
}

func TestMeanAndMedian(t *testing.T) {
	for _, c := range []struct {
		values       []float64
		mean, median float64
	}{
		{nil, 0, 0}, {[]float64{3}, 3, 3}, {[]float64{9, 1}, 5, 5}, {[]float64{100, 1, 2, 3, 4}, 22, 3}, {[]float64{8, 1, 2, 5}, 4, 3.5},
	} {
		if mean, median := Mean(c.values), Median(c.values); mean != c.mean || median != c.median {
			t.Errorf("%v: got %v and %v, want %v and %v", c.values, mean, median, c.mean, c.median)
		}
	}
}
