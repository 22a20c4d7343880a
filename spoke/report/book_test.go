package report

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func about(uid, phase string) *yardarmv1.Report {
	return &yardarmv1.Report{BundleUid: uid, Phase: phase, ObservedTime: timestamppb.Now()}
}

func signalled(b *Book) bool {
	select {
	case <-b.Changed():
		return true
	default:
		return false
	}
}

// summary writes an update as "a:Ready b:gone".
func summary(u Update) string {
	out := ""
	for _, r := range u.Reports {
		out += r.BundleUid + ":" + r.Phase + " "
	}
	for _, uid := range u.Removed {
		out += uid + ":gone "
	}
	return out
}

func TestTheLatestWins(t *testing.T) {
	b := NewBook()
	if u, ok := b.Take(); ok || signalled(b) {
		t.Fatalf("an empty book has news: %v", u)
	}
	b.Set(about("a", "Pending"))
	b.Set(about("b", "Pending"))
	b.Set(about("a", "Progressing"))
	b.Set(about("a", "Ready"))
	if !signalled(b) || signalled(b) {
		t.Error("signals do not coalesce")
	}
	u, ok := b.Take()
	if got := summary(u); !ok || got != "a:Ready b:Pending " {
		t.Errorf("took %q", got)
	}
	if _, ok := b.Take(); ok {
		t.Error("told twice")
	}
	b.Remove("b")
	b.Remove("never there")
	b.Set(about("c", "Failed"))
	if u, _ := b.Take(); summary(u) != "c:Failed b:gone " || !bytes.Equal(u.Hash, b.Hash()) {
		t.Errorf("took %q", summary(u))
	}
	// Gone and back before anybody asked is news about what is there.
	b.Remove("c")
	b.Set(about("c", "Ready"))
	if u, _ := b.Take(); summary(u) != "c:Ready " {
		t.Errorf("took %q", summary(u))
	}
}

func TestTimeAloneIsNoNews(t *testing.T) {
	b := NewBook()
	r := about("a", "Ready")
	b.Set(r)
	b.Take()
	signalled(b)
	hash := b.Hash()
	later := proto.CloneOf(r)
	later.ObservedTime = timestamppb.New(time.Now().Add(time.Hour))
	b.Set(later)
	if _, ok := b.Take(); ok || signalled(b) || !bytes.Equal(hash, b.Hash()) {
		t.Error("a report that says the same an hour later is news")
	}
	changed := proto.CloneOf(r)
	changed.Since = timestamppb.New(time.Unix(1, 0))
	b.Set(changed)
	if _, ok := b.Take(); !ok || !signalled(b) || bytes.Equal(hash, b.Hash()) {
		t.Error("another time since when it is so is no news")
	}
}

func TestExpectYieldsToWhatIsObserved(t *testing.T) {
	b := NewBook()
	b.Set(about("a", "Ready"))
	b.Expect(about("a", "Pending"))
	b.Expect(about("b", "Pending"))
	if u, _ := b.Take(); summary(u) != "a:Ready b:Pending " {
		t.Errorf("took %q", summary(u))
	}
	b.Set(about("b", "Ready"))
	if u, _ := b.Take(); summary(u) != "b:Ready " {
		t.Errorf("took %q", summary(u))
	}
}

func TestAllCountsAsTold(t *testing.T) {
	b := NewBook()
	b.Set(about("b", "Ready"))
	b.Set(about("a", "Ready"))
	b.Set(about("c", "Ready"))
	b.Remove("c")
	u := b.All()
	if got := summary(u); got != "a:Ready b:Ready " || !bytes.Equal(u.Hash, b.Hash()) {
		t.Errorf("all: %q", got)
	}
	if u, ok := b.Take(); ok {
		t.Errorf("told again: %q", summary(u))
	}
}

// The hash is how a hub knows, after anything, whether it knows all: it depends on what is in the book and on nothing else.
func TestHash(t *testing.T) {
	one, other := NewBook(), NewBook()
	if !bytes.Equal(one.Hash(), other.Hash()) || len(one.Hash()) == 0 {
		t.Error("two empty books differ")
	}
	r, s := about("a", "Ready"), about("b", "Failed")
	one.Set(r)
	one.Set(s)
	other.Set(about("b", "Pending"))
	other.Set(proto.CloneOf(s))
	if bytes.Equal(one.Hash(), other.Hash()) {
		t.Error("fewer reports hash the same")
	}
	other.Set(proto.CloneOf(r))
	if !bytes.Equal(one.Hash(), other.Hash()) {
		t.Error("the way there counts")
	}
}

func TestConcurrentUse(t *testing.T) {
	b := NewBook()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				b.Set(about(fmt.Sprint(w), fmt.Sprint(i)))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[string]string{}
	for finished := false; !finished; {
		select {
		case <-b.Changed():
		case <-done:
			finished = true
		}
		if u, ok := b.Take(); ok {
			for _, r := range u.Reports {
				seen[r.BundleUid] = r.Phase
			}
		}
	}
	for w := range 4 {
		if got := seen[fmt.Sprint(w)]; got != "199" {
			t.Errorf("the last that was heard of %d is %q", w, got)
		}
	}
}

func TestAgeIsOfTheOldestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBook()
		if b.Age() != 0 {
			t.Errorf("an empty book is %v old", b.Age())
		}
		b.Set(about("a", "Ready"))
		time.Sleep(time.Minute)
		b.Set(about("b", "Ready"))
		if b.Age() != time.Minute {
			t.Errorf("it is %v old", b.Age())
		}
		b.Take()
		time.Sleep(time.Minute)
		if b.Age() != 0 {
			t.Errorf("once taken, it is %v old", b.Age())
		}
	})
}
