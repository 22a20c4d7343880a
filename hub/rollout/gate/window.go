package gate

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a hub's image has no time zones of its own

	"github.com/robfig/cron/v3"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// minDuration is that of the schedule's grain. What is shorter hardly is a window.
	minDuration = time.Minute
	// maxDuration is enough for a whole month.
	maxDuration = 31 * 24 * time.Hour
	// maxText bounds a schedule and the name of a time zone, in bytes.
	maxText = 128
	// maxJoined is how many beginnings are followed of windows that run into each other. The last one's end is only looked at again then.
	maxJoined = 20
)

// reference is a time from which any schedule that ever begins does so within the five years that the library looks ahead: a leap year's first day.
var reference = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// fields are those of cron's five. Words such as @daily are not among them: @every begins when it is looked at.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// window is one that was checked.
type window struct {
	allow    bool
	schedule cron.Schedule
	duration time.Duration
}

// window adds what is wrong with one.
func (c *checker) window(w *yardarmv1.Window) *window {
	out := &window{allow: w.GetEffect() == yardarmv1.WindowAllow, duration: w.GetDuration().AsDuration()}
	if w.GetEffect() != yardarmv1.WindowAllow && w.GetEffect() != yardarmv1.WindowDeny {
		c.add("spec.window.effect", "is %q; it is %q or %q", clip(w.GetEffect()), yardarmv1.WindowAllow, yardarmv1.WindowDeny)
	}
	if w.GetDuration().CheckValid() != nil || out.duration < minDuration || out.duration > maxDuration {
		c.add("spec.window.duration", "is %s; a window is open for 1 minute to 31 days", out.duration)
	}
	location, err := zone(w.GetTimeZone())
	if err != nil {
		c.add("spec.window.timeZone", "%v", err)
		location = time.UTC
	}
	if out.schedule, err = schedule(w.GetSchedule(), location); err != nil {
		c.add("spec.window.schedule", "%v", err)
	}
	return out
}

// zone finds a time zone. What the machine calls its own is none: hubs move.
func zone(name string) (*time.Location, error) {
	if len(name) <= maxText && name != "Local" {
		if location, err := time.LoadLocation(name); err == nil {
			return location, nil
		}
	}
	return nil, fmt.Errorf(`%q is no time zone of the IANA database, such as "Europe/Berlin"; leave it out for UTC`, clip(name))
}

func schedule(text string, location *time.Location) (cron.Schedule, error) {
	// The library takes a time zone in front of the fields, and not every text there.
	if len(text) > maxText || strings.Contains(text, "=") {
		return nil, fmt.Errorf(`%q is no schedule; it has the five fields of cron, as in "0 22 * * 1-5", and its time zone is in timeZone`, clip(text))
	}
	parsed, err := fields.Parse(text)
	if err != nil {
		return nil, fmt.Errorf(`%q is no schedule (%v); it has the five fields of cron: minute, hour, day of the month, month, day of the week, as in "0 22 * * 1-5"`,
			text, err)
	}
	parsed.(*cron.SpecSchedule).Location = location
	if parsed.Next(reference).IsZero() {
		return nil, fmt.Errorf("%q never comes: there is no such day", text)
	}
	return parsed, nil
}

// at tells whether the window is open, and when that changes; zero where that is not to be foreseen.
func (w *window) at(now time.Time) (open bool, changes time.Time) {
	start := w.schedule.Next(now.Add(-w.duration))
	if start.IsZero() || start.After(now) {
		return false, start
	}
	for range maxJoined {
		next := w.schedule.Next(start)
		if next.IsZero() || next.After(start.Add(w.duration)) {
			break
		}
		start = next
	}
	return true, start.Add(w.duration)
}

// Span is from when to when a window is; Begins is zero for one that is under way.
type Span struct{ Begins, Ends time.Time }

// Times answers the next times of a gate's window, at most so many; none of a freeze.
func Times(row *yardarmv1.Gate, now time.Time, most int) (spans []Span) {
	g, _ := compile(row)
	if g.window == nil {
		return nil
	}
	begins, at := time.Time{}, now
	for len(spans) < most {
		open, changes := g.window.at(at)
		if changes.IsZero() {
			break
		}
		if open {
			spans = append(spans, Span{begins, changes})
		}
		begins, at = changes, changes
	}
	return spans
}
