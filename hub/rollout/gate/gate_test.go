package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// at reads "2026-03-28 22:00" in UTC, a Saturday, or "" for zero.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	when, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func windowOf(effect, schedule string, d time.Duration, zone string) *yardarmv1.GateSpec {
	return &yardarmv1.GateSpec{Window: &yardarmv1.Window{Effect: effect, Schedule: schedule, Duration: durationpb.New(d), TimeZone: zone}}
}

func freeze(until time.Time) *yardarmv1.GateSpec {
	f := &yardarmv1.Freeze{}
	if !until.IsZero() {
		f.Until = timestamppb.New(until)
	}
	return &yardarmv1.GateSpec{Freeze: f}
}

// about narrows a gate.
func about(spec *yardarmv1.GateSpec, bundles, groups, clusters string) *yardarmv1.GateSpec {
	if bundles != "" {
		spec.Bundles = &yardarmv1.Scope{Names: strings.Fields(bundles)}
	}
	spec.Groups = strings.Fields(groups)
	if clusters != "" {
		spec.Clusters = &yardarmv1.Scope{Names: strings.Fields(clusters)}
	}
	return spec
}

func named(name string, spec *yardarmv1.GateSpec) *yardarmv1.Gate {
	return &yardarmv1.Gate{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}
}

func setOf(t testing.TB, gates ...*yardarmv1.Gate) *Set {
	t.Helper()
	for _, g := range gates {
		if violations := Check(g); len(violations) > 0 {
			t.Fatal(g.Metadata.Name, violations)
		}
	}
	return NewSet(slices.Values(gates))
}

func TestWindow(t *testing.T) {
	for _, test := range []struct {
		name, schedule string
		duration       time.Duration
		zone           string
		now            string
		open           bool
		changes        string
	}{
		{"before", "0 22 * * *", 2 * time.Hour, "", "2026-03-28 21:59", false, "2026-03-28 22:00"},
		{"its first moment", "0 22 * * *", 2 * time.Hour, "", "2026-03-28 22:00", true, "2026-03-29 00:00"},
		{"its last minute", "0 22 * * *", 2 * time.Hour, "", "2026-03-28 23:59", true, "2026-03-29 00:00"},
		{"its end", "0 22 * * *", 2 * time.Hour, "", "2026-03-29 00:00", false, "2026-03-29 22:00"},
		{"a month long", "0 12 1 * *", 30 * 24 * time.Hour, "", "2026-03-31 00:00", true, "2026-03-31 12:00"},
		{"those that overlap are one", "0,30 22 * * *", time.Hour, "", "2026-03-28 22:10", true, "2026-03-28 23:30"},
		{"those that touch are one", "0 22,23 * * *", time.Hour, "", "2026-03-28 22:10", true, "2026-03-29 00:00"},
		{"a time zone", "0 22 * * *", time.Hour, "America/New_York", "2026-03-29 02:30", true, "2026-03-29 03:00"},
		{"only on weekdays", "0 22 * * 1-5", time.Hour, "", "2026-03-28 22:30", false, "2026-03-30 22:00"},
		{"a leap day", "0 0 29 2 *", 24 * time.Hour, "", "2026-03-01 00:00", false, "2028-02-29 00:00"},
		// Berlin's clocks go from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC, and from 03:00 to 02:00 on 2026-10-25, at 01:00 UTC.
		{"the day before the clocks skip it", "30 2 * * *", time.Hour, "Europe/Berlin", "2026-03-28 01:30", true, "2026-03-28 02:30"},
		{"the night in which they do", "30 2 * * *", time.Hour, "Europe/Berlin", "2026-03-28 12:00", false, "2026-03-30 00:30"},
		{"one that goes on while they skip is as long as ever", "0 1 * * *", 3 * time.Hour, "Europe/Berlin", "2026-03-29 02:59", true, "2026-03-29 03:00"},
		{"the night that has it twice", "30 2 * * *", time.Minute, "Europe/Berlin", "2026-10-24 12:00", false, "2026-10-25 00:30"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, violations := compile(named("w", windowOf("allow", test.schedule, test.duration, test.zone)))
			if len(violations) > 0 {
				t.Fatal(violations)
			}
			open, changes := g.window.at(at(t, test.now))
			if open != test.open || !changes.Equal(at(t, test.changes)) {
				t.Errorf("open %v until %v, want %v until %s", open, changes.UTC(), test.open, test.changes)
			}
			// However often one looks, it is so until then, and not so then.
			for _, now := range []time.Time{at(t, test.now).Add(17 * time.Second), changes.Add(-time.Nanosecond)} {
				if now.Before(changes) {
					if still, until := g.window.at(now); still != open || !until.Equal(changes) {
						t.Errorf("at %v it is open %v until %v", now.UTC(), still, until.UTC())
					}
				}
			}
			if then, _ := g.window.at(changes); then == open {
				t.Errorf("at %v nothing changes", changes.UTC())
			}
		})
	}
}

// The times that are told begin with the one that is under way, go by the gate's own clock, and end where nothing is to be foreseen.
func TestTimes(t *testing.T) {
	for _, test := range []struct {
		name, now string
		spec      *yardarmv1.GateSpec
		want      string
	}{
		{"before", "2026-03-27 12:00", windowOf("allow", "0 22 * * 1-5", 6*time.Hour, "Europe/Berlin"), "03-27 21:00 to 03-28 03:00, 03-30 20:00 to 03-31 02:00"},
		{"under way", "2026-03-27 22:00", windowOf("deny", "0 22 * * 1-5", 6*time.Hour, "Europe/Berlin"), "to 03-28 03:00, 03-30 20:00 to 03-31 02:00"},
		{"a freeze", "2026-03-27 22:00", freeze(at(t, "2026-03-29 12:00")), ""},
	} {
		var got []string
		for _, span := range Times(named("w", test.spec), at(t, test.now), 2) {
			text := "to " + span.Ends.UTC().Format("01-02 15:04")
			if !span.Begins.IsZero() {
				text = span.Begins.UTC().Format("01-02 15:04 ") + text
			}
			got = append(got, text)
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s: %s, want %s", test.name, text, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	with := func(change func(*yardarmv1.Window)) *yardarmv1.GateSpec {
		spec := windowOf("deny", "0 22 * * *", time.Hour, "Europe/Berlin")
		change(spec.Window)
		return spec
	}
	for _, test := range []struct {
		name  string
		spec  *yardarmv1.GateSpec
		field string
		says  string
	}{
		{"nothing", &yardarmv1.GateSpec{}, "spec", "freeze or window is needed"},
		{"both", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}, Window: &yardarmv1.Window{}}, "spec", "write two gates"},
		{"no effect", with(func(w *yardarmv1.Window) { w.Effect = "" }), "spec.window.effect", `"allow" or "deny"`},
		{"no duration", with(func(w *yardarmv1.Window) { w.Duration = nil }), "spec.window.duration", "is 0s"},
		{"a negative one", with(func(w *yardarmv1.Window) { w.Duration = durationpb.New(-time.Hour) }), "spec.window.duration", "is -1h0m0s"},
		{"one without end", with(func(w *yardarmv1.Window) { w.Duration = durationpb.New(32 * 24 * time.Hour) }), "spec.window.duration", "31 days"},
		{"no time zone", with(func(w *yardarmv1.Window) { w.TimeZone = "Europe/Bärlin" }), "spec.window.timeZone", "IANA"},
		{"the machine's", with(func(w *yardarmv1.Window) { w.TimeZone = "Local" }), "spec.window.timeZone", "IANA"},
		{"a file", with(func(w *yardarmv1.Window) { w.TimeZone = "../../etc/passwd" }), "spec.window.timeZone", "IANA"},
		{"no schedule", with(func(w *yardarmv1.Window) { w.Schedule = "" }), "spec.window.schedule", "five fields"},
		{"with seconds", with(func(w *yardarmv1.Window) { w.Schedule = "0 0 22 * * *" }), "spec.window.schedule", "five fields"},
		{"no hour", with(func(w *yardarmv1.Window) { w.Schedule = "0 25 * * *" }), "spec.window.schedule", "five fields"},
		{"a word", with(func(w *yardarmv1.Window) { w.Schedule = "@every 1h" }), "spec.window.schedule", "five fields"},
		{"a time zone in it", with(func(w *yardarmv1.Window) { w.Schedule = "TZ=UTC" }), "spec.window.schedule", "timeZone"},
		{"never", with(func(w *yardarmv1.Window) { w.Schedule = "0 0 30 2 *" }), "spec.window.schedule", "never comes"},
		{"no time", &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{Until: &timestamppb.Timestamp{Nanos: -1}}}, "spec.freeze.until", "no time"},
		{"a group twice", about(freeze(time.Time{}), "", "prod prod", ""), "spec.groups[1]", "second time"},
		{"too many groups", &yardarmv1.GateSpec{Groups: make([]string, maxGroups+1), Freeze: &yardarmv1.Freeze{}}, "spec.groups", "at most 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			violations := Check(named("g", test.spec))
			if len(violations) == 0 || violations[0].Field != test.field || !strings.Contains(violations[0].Message, test.says) {
				t.Errorf("%v, want %s: … %s …", violations, test.field, test.says)
			}
			// One that got into the store all the same holds back rather than lets through.
			v := NewSet(slices.Values([]*yardarmv1.Gate{named("g", test.spec)})).At(at(t, "2026-03-28 12:00")).judge(func(*gate) bool { return true })
			if v.Gate != rollout.Frozen {
				t.Errorf("it counts as %d", v.Gate)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	const now = "2026-03-28 12:00"
	subject := Subject{Bundle: &yardarmv1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "shop"}},
		Cluster: &yardarmv1.ObjectMeta{Name: "eu-1", Labels: map[string]string{"env": "prod"}}, Groups: []string{"all", "prod"}}
	noon := func(effect string) *yardarmv1.GateSpec { return windowOf(effect, "30 11 * * *", time.Hour, "") }
	night := func(effect string) *yardarmv1.GateSpec { return windowOf(effect, "0 22 * * *", time.Hour, "") }
	labelled := func(bundles, clusters map[string]string) *yardarmv1.GateSpec {
		spec := freeze(time.Time{})
		if bundles != nil {
			spec.Bundles = &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{MatchLabels: bundles}}
		}
		if clusters != nil {
			spec.Clusters = &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{MatchLabels: clusters}}
		}
		return spec
	}
	for _, test := range []struct {
		name  string
		gates []*yardarmv1.GateSpec // named a, b, …
		gate  rollout.Gate
		by    string
		until string
		opens string
	}{
		{"none", nil, rollout.Open, "", "", now},
		{"a freeze of all", []*yardarmv1.GateSpec{freeze(time.Time{})}, rollout.Frozen, "a", "", ""},
		{"until tomorrow", []*yardarmv1.GateSpec{freeze(at(t, "2026-03-29 12:00"))}, rollout.Frozen, "a", "2026-03-29 12:00", "2026-03-29 12:00"},
		{"that is over", []*yardarmv1.GateSpec{freeze(at(t, now))}, rollout.Open, "", "", now},
		{"the longest counts", []*yardarmv1.GateSpec{freeze(at(t, "2026-03-29 12:00")), freeze(at(t, "2026-03-30 12:00")), freeze(at(t, "2026-03-29 13:00"))},
			rollout.Frozen, "b", "2026-03-30 12:00", "2026-03-30 12:00"},
		{"of the bundle", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "db web", "", "")}, rollout.Frozen, "a", "", ""},
		{"of another bundle", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "db", "", "")}, rollout.Open, "", "", now},
		{"of a group", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "lab prod", "")}, rollout.Frozen, "a", "", ""},
		{"of another group", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "lab", "")}, rollout.Open, "", "", now},
		{"of the cluster", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "", "eu-1")}, rollout.Aside, "a", "", ""},
		{"of the cluster, with a bundle and a group", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "web", "prod", "eu-1")}, rollout.Aside, "a", "", ""},
		{"of another cluster in the group", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "prod", "eu-2")}, rollout.Open, "", "", now},
		{"of the cluster in another group", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "lab", "eu-1")}, rollout.Open, "", "", now},
		{"by labels", []*yardarmv1.GateSpec{labelled(map[string]string{"team": "shop"}, map[string]string{"env": "prod"})}, rollout.Aside, "a", "", ""},
		{"by other labels", []*yardarmv1.GateSpec{labelled(map[string]string{"team": "shop"}, map[string]string{"env": "lab"})}, rollout.Open, "", "", now},
		{"what waits comes before what is aside", []*yardarmv1.GateSpec{about(freeze(time.Time{}), "", "", "eu-1"), freeze(at(t, "2026-03-29 12:00"))},
			rollout.Frozen, "b", "2026-03-29 12:00", ""},

		{"an open window", []*yardarmv1.GateSpec{noon("allow")}, rollout.Open, "", "", now},
		{"another time", []*yardarmv1.GateSpec{night("allow")}, rollout.Shut, "a", "2026-03-28 22:00", "2026-03-28 22:00"},
		{"one that is open is enough", []*yardarmv1.GateSpec{night("allow"), noon("allow")}, rollout.Open, "", "", now},
		{"the next one counts", []*yardarmv1.GateSpec{windowOf("allow", "0 23 * * *", time.Hour, ""), night("allow")}, rollout.Shut, "b", "2026-03-28 22:00", "2026-03-28 22:00"},
		{"one about others allows nothing here, and denies nothing", []*yardarmv1.GateSpec{about(night("allow"), "db", "", "")}, rollout.Open, "", "", now},
		{"denied", []*yardarmv1.GateSpec{noon("deny")}, rollout.Shut, "a", "2026-03-28 12:30", "2026-03-28 12:30"},
		{"denied at another time", []*yardarmv1.GateSpec{night("deny")}, rollout.Open, "", "", now},
		{"deny wins", []*yardarmv1.GateSpec{noon("allow"), noon("deny")}, rollout.Shut, "b", "2026-03-28 12:30", ""}, // every day anew
		{"deny ends within allow", []*yardarmv1.GateSpec{windowOf("allow", "30 11 * * *", 2*time.Hour, ""), noon("deny")}, rollout.Shut, "b", "2026-03-28 12:30", "2026-03-28 12:30"},
		{"after deny, the next that allows", []*yardarmv1.GateSpec{night("allow"), noon("deny")}, rollout.Shut, "b", "2026-03-28 12:30", "2026-03-28 22:00"},
		{"a freeze comes before windows", []*yardarmv1.GateSpec{noon("deny"), freeze(at(t, "2026-03-28 22:30")), night("allow")},
			rollout.Frozen, "b", "2026-03-28 22:30", "2026-03-28 22:30"},
		{"always denied", []*yardarmv1.GateSpec{windowOf("deny", "* * * * *", time.Hour, "")}, rollout.Shut, "a", "2026-03-28 12:21", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var gates []*yardarmv1.Gate
			for i, spec := range test.gates {
				gates = append(gates, named(string(rune('a'+i)), spec))
			}
			set := setOf(t, gates...)
			v := set.At(at(t, now)).Judge(subject)
			if v.Gate != test.gate || v.By.GetMetadata().GetName() != test.by || !v.Until.Equal(at(t, test.until)) {
				t.Errorf("gate %d by %q until %v, want %d by %q until %s", v.Gate, v.By.GetMetadata().GetName(), v.Until.UTC(), test.gate, test.by, test.until)
			}
			if opens := set.About(subject).Opens(at(t, now)); !opens.Equal(at(t, test.opens)) {
				t.Errorf("it opens %v, want %s", opens.UTC(), test.opens)
			}
		})
	}
}

// A moment holds until the first gate changes, whichever it is about, and not for times before it.
func TestMoment(t *testing.T) {
	set := setOf(t, named("a", windowOf("allow", "0 22 * * *", time.Hour, "")), named("b", freeze(at(t, "2026-03-28 21:00"))), named("c", freeze(time.Time{})))
	now := at(t, "2026-03-28 12:00")
	m := set.At(now)
	if !m.Until.Equal(at(t, "2026-03-28 21:00")) {
		t.Errorf("it holds until %v", m.Until)
	}
	for when, holds := range map[time.Time]bool{now: true, now.Add(-time.Second): false, m.Until.Add(-1): true, m.Until: false} {
		if m.Holds(when) != holds {
			t.Errorf("at %v it holds: %v", when, !holds)
		}
	}
	if never := setOf(t, named("c", freeze(time.Time{}))).At(now); !never.Until.IsZero() || !never.Holds(now.AddDate(10, 0, 0)) {
		t.Errorf("nothing changes, and it holds until %v", never.Until)
	}
}

// What people write as a schedule and a time zone must not take the hub down, nor keep it busy.
func FuzzWindow(f *testing.F) {
	for _, seed := range []string{"0 22 * * 1-5", "TZ=0", "CRON_TZ=", "@every 1s", "*/0 * * * *", "59-1 * * * *", "0 0 31 2 *", "? ? ? ? ?", "1-4294967296 * * * *"} {
		f.Add(seed, "Europe/Berlin", int64(3600))
	}
	f.Fuzz(func(t *testing.T, schedule, zone string, seconds int64) {
		g := named("g", windowOf("deny", schedule, time.Duration(seconds)*time.Second, zone))
		violations := Check(g)
		set := NewSet(slices.Values([]*yardarmv1.Gate{g}))
		now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
		m := set.At(now)
		if len(violations) == 0 && m.Until.IsZero() {
			t.Errorf("%q never opens or shuts", schedule)
		}
		if !m.Until.IsZero() && !m.Until.After(now) {
			t.Errorf("%q changes at %v, which is over", schedule, m.Until)
		}
		set.Opens(now)
	})
}
