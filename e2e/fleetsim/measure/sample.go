package measure

import (
	"math"
	"slices"
	"time"
)

// Percentile answers the smallest sample that at least p of all samples do not exceed; p is between 0 and 1. Without
// samples it is 0. It sorts the samples.
func Percentile(samples []time.Duration, p float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	slices.Sort(samples)
	i := int(math.Ceil(p*float64(len(samples)))) - 1
	return samples[min(max(i, 0), len(samples)-1)]
}

// Mean of what is given; 0 of nothing.
func Mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return Ratio(sum, float64(len(values)))
}

// Median is the value in the middle, of an even count the mean of both; 0 of nothing. It leaves the order as it is.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Exponent answers e of the law cost ~ size^e that the points fit best, by least squares of the logarithms: 1 where cost is
// in proportion to size, 0 where it does not depend on it. Points that are not positive do not count; it is 0 for fewer
// than two.
func Exponent(sizes, costs []float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for i := range min(len(sizes), len(costs)) {
		if sizes[i] <= 0 || costs[i] <= 0 {
			continue
		}
		x, y := math.Log(sizes[i]), math.Log(costs[i])
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; n >= 2 && d > 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

// Ratio answers a/b; 0 where b is 0, since no figure is better than a wrong one.
func Ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Milliseconds of a duration.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
