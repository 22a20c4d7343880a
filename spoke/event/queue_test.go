package event

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func about(bundle, name string) Event {
	return Event{
		Bundle: bundle, Type: "Warning", Reason: "Invalid", Action: "Apply", Note: "why",
		Regarding: Object{Ref: manifest.Ref{Kind: "ConfigMap", Namespace: "prod", Name: name}, Version: "v1"},
	}
}

// drain takes all whose turn it is.
func drain(q *queue, now time.Time) (all []*pending, wait time.Duration) {
	for {
		p, wait, _ := q.next(now)
		if p == nil {
			return all, wait
		}
		all = append(all, p)
		q.wrote(p.key, q.told[p.key].count+p.count, now)
	}
}

func TestEachBundleHasARate(t *testing.T) {
	q := newQueue()
	for i := range 2 * burst {
		q.put(about("noisy", fmt.Sprint("m", i)), start)
	}
	q.put(about("quiet", "m"), start)
	got, wait := drain(q, start)
	if len(got) != burst+1 || got[0].Regarding.Name != "m0" || got[burst].Bundle != "quiet" {
		t.Errorf("at once: %d events, the last of %s", len(got), got[len(got)-1].Bundle)
	}
	if wait <= 0 || wait > refill {
		t.Errorf("the next is due in %v", wait)
	}
	if got, _ := drain(q, start.Add(10*refill)); len(got) != 10 {
		t.Errorf("%d events after 10 refills", len(got))
	}
	if got, wait := drain(q, start.Add(time.Hour)); len(got) != 0 || wait != 0 {
		t.Errorf("%d outdated events, wait %v", len(got), wait)
	}
	if len(q.rates) != 0 {
		t.Errorf("%d rates are kept for nobody", len(q.rates))
	}
}

func TestWhatIsSaidAgainIsCounted(t *testing.T) {
	q := newQueue()
	q.put(about("web", "m"), start)
	q.put(about("web", "m"), start.Add(time.Second))
	got, _ := drain(q, start.Add(time.Second))
	if len(got) != 1 || got[0].count != 2 || !got[0].first.Equal(start) || !got[0].last.Equal(start.Add(time.Second)) {
		t.Fatalf("got %+v", got)
	}
	written := start.Add(time.Second)
	for i := range 30 {
		q.put(about("web", "m"), written.Add(time.Duration(i)*time.Second))
	}
	got, wait := drain(q, written.Add(30*time.Second))
	if len(got) != 0 || wait != repeatEvery-30*time.Second {
		t.Fatalf("%d written, and the next in %v", len(got), wait)
	}
	if got, _ := drain(q, written.Add(repeatEvery)); len(got) != 1 || got[0].count != 30 || q.told[got[0].key].count != 32 {
		t.Fatalf("got %+v, told %v", got, q.told)
	}
	// Another note is another event.
	other := about("web", "m")
	other.Note = "why else"
	q.put(other, written.Add(repeatEvery))
	if got, _ := drain(q, written.Add(repeatEvery)); len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
}

func TestTheOldestGoWhenThereAreTooMany(t *testing.T) {
	q := newQueue()
	dropped := 0
	for i := range queueLimit + 10 {
		dropped += q.put(about("web", fmt.Sprint("m", i)), start)
	}
	if dropped != 10 || len(q.pending) != queueLimit || q.pending[0].Regarding.Name != "m10" {
		t.Errorf("dropped %d, %d left, the first is %s", dropped, len(q.pending), q.pending[0].Regarding.Name)
	}
	for i := range toldLimit + 10 {
		q.wrote(key(fmt.Sprint(i)), 1, start.Add(time.Duration(i)*time.Millisecond))
	}
	if _, ok := q.told["0"]; ok || len(q.told) != toldLimit {
		t.Errorf("%d are remembered, the oldest %v", len(q.told), ok)
	}
}

func TestWhatCouldNotBeWrittenIsNext(t *testing.T) {
	q := newQueue()
	q.put(about("web", "a"), start)
	q.put(about("web", "b"), start)
	p, _, _ := q.next(start)
	q.put(about("web", "a"), start.Add(time.Second))
	q.back(p)
	if p, _, _ = q.next(start.Add(time.Second)); p.Regarding.Name != "a" || p.count != 2 || !p.first.Equal(start) {
		t.Errorf("next is %s, said %d times", p.Regarding.Name, p.count)
	}
	if !q.oldest().Equal(start) {
		t.Errorf("the oldest is of %v", q.oldest())
	}
}

func TestObjectsAreWhatTheAPIServerTakes(t *testing.T) {
	long := strings.Repeat("x", 198) + ".-yyy"
	for _, c := range []struct{ object, prefix string }{
		{"web", "web."},
		{"system:node", "yardarm."},
		{"Upper", "yardarm."},
		{"", "yardarm."},
		{long, strings.Repeat("x", 198) + "."},
	} {
		e := about("web", c.object)
		e.Note = strings.Repeat("é", 2*noteLimit) + "\xff"
		e.Reason = strings.Repeat("R", 2*reasonLimit)
		o := (&pending{Event: e, count: 3, first: start, last: start.Add(time.Minute)}).object("host")
		if name := o.GetName(); !strings.HasPrefix(name, c.prefix) || len(validation.IsDNS1123Subdomain(name)) > 0 {
			t.Errorf("%s: name %s", c.object, name)
		}
		note, reason := o.Object["note"].(string), o.Object["reason"].(string)
		if len(note) > noteLimit || !utf8.ValidString(note) || !strings.HasSuffix(note, "é…") || len(reason) != reasonLimit {
			t.Errorf("%s: note of %d bytes ends with %q, reason of %d", c.object, len(note), note[len(note)-4:], len(reason))
		}
		if series := o.Object["series"].(map[string]any); series["count"] != int64(3) || series["lastObservedTime"] != "2026-01-01T00:01:00.000000Z" {
			t.Errorf("series %v", series)
		}
	}
	e := about("web", "node")
	e.Regarding.Namespace = ""
	if o := (&pending{Event: e, count: 1, first: start, last: start}).object("host"); o.GetNamespace() != "default" || o.Object["series"] != nil {
		t.Errorf("cluster-scoped, said once: %v", o)
	}
}
