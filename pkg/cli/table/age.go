package table

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Duration writes a length of time in at most two units, as kubectl does: 45s, 3m20s, 5h, 12d. A time that has not come yet, by a clock that differs a
// little, is 0s.
func Duration(d time.Duration) string {
	switch d = max(d, 0).Truncate(time.Second); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 10*time.Minute:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 8*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "m")
	case d < 2*day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 8*day:
		return units(d, day, "d", time.Hour, "h")
	case d < 2*365*day:
		return fmt.Sprintf("%dd", int(d/day))
	}
	return units(d, 365*day, "y", day, "d")
}

// Left writes how long it is until something, as Duration does, but to the nearest: of an hour that has just begun, 60m are left and not 59.
func Left(d time.Duration) string {
	smallest := day
	switch {
	case d < 10*time.Minute:
		smallest = time.Second
	case d < 8*time.Hour:
		smallest = time.Minute
	case d < 8*day:
		smallest = time.Hour
	}
	return Duration(d.Round(smallest))
}

func units(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d%s", int(d/big), bigName)
	if rest := int(d % big / small); rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smallName)
	}
	return text
}
