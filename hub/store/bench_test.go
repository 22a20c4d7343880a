package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// benchRows is how many rows the benchmarks write to, in turn.
const benchRows = 10_000

// benchBundle is a row of 1 KiB on disk.
func benchBundle(i int) *yardarmv1.Bundle {
	name := fmt.Sprintf("bundle-%05d", i%benchRows)
	return &yardarmv1.Bundle{
		Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: fmt.Sprintf("%08x-uid", uint32(i%benchRows)*2654435761), Annotations: map[string]string{"a": strings.Repeat("x", 940)}},
		Spec:     &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "all"}}},
	}
}

func benchStore(b *testing.B, audit *Audit) *Store {
	s, err := Open(Config{Dir: b.TempDir(), Audit: audit})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	// The file has its size and the tree its depth before anything is measured.
	for i := 0; i < benchRows; i += 500 {
		if _, err := s.Update(context.Background(), func(tx *Tx) error {
			for n := range 500 {
				if err := tx.PutBundle(benchBundle(i + n)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkFloor is what the disk can do: 4 KiB written over and synced, one after the other. The other benchmarks' figures are to be seen in relation to it.
func BenchmarkFloor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	const pages = 1024
	for i := range pages {
		if _, err := f.WriteAt(page, int64(i*len(page))); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := f.WriteAt(page, int64(i*7%pages*len(page))); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}

// benchCluster is a row of 1 KiB on disk that is in another phase each time it is put, which is a transition of its history.
func benchCluster(i int) *yardarmv1.Cluster {
	uid := fmt.Sprintf("%08x-uid", uint32(i%benchRows)*2654435761)
	return &yardarmv1.Cluster{
		Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Annotations: map[string]string{"a": strings.Repeat("x", 940)}},
		Spec:     &yardarmv1.ClusterSpec{}, Status: &yardarmv1.ClusterStatus{Phase: []string{yardarmv1.ClusterActive, yardarmv1.ClusterBanned}[i/benchRows%2]},
	}
}

// benchUpdates runs a benchmark of updates of 1 KiB rows: of such as neither the audit log nor the history tells of, of such as one does, and of such as both do.
func benchUpdates(b *testing.B, run func(*testing.B, *Store, func(*Tx, int) error)) {
	bundles := func(tx *Tx, i int) error { return tx.PutBundle(benchBundle(i)) }
	clusters := func(tx *Tx, i int) error { return tx.PutCluster(benchCluster(i)) }
	for _, kind := range []struct {
		name  string
		audit *Audit
		put   func(*Tx, int) error
	}{
		{"plain", nil, bundles}, {"history", nil, clusters}, {"audit", &Audit{Key: auditKey}, bundles}, {"both", &Audit{Key: auditKey}, clusters},
	} {
		b.Run(kind.name, func(b *testing.B) { run(b, benchStore(b, kind.audit), kind.put) })
	}
}

// BenchmarkUpdateSequential is one writer that waits for each of its updates.
func BenchmarkUpdateSequential(b *testing.B) {
	benchUpdates(b, func(b *testing.B, s *Store, put func(*Tx, int) error) {
		for i := 0; b.Loop(); i++ {
			if _, err := s.Update(context.Background(), func(tx *Tx) error { return put(tx, i*7) }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	})
}

// BenchmarkUpdateParallel256 is 256 writers, each of which waits for each of its updates: they share commits.
func BenchmarkUpdateParallel256(b *testing.B) {
	benchUpdates(b, func(b *testing.B, s *Store, put func(*Tx, int) error) {
		before := s.metrics.commitCount()
		var next atomic.Int64
		var wg sync.WaitGroup
		b.ResetTimer()
		for range 256 {
			wg.Go(func() {
				for {
					i := int(next.Add(1))
					if i > b.N {
						return
					}
					if _, err := s.Update(context.Background(), func(tx *Tx) error { return put(tx, i*7) }); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		b.ReportMetric(float64(b.N)/float64(s.metrics.commitCount()-before), "updates/commit")
	})
}

// BenchmarkGroupChange is a change of a group's selector in a fleet of 10,000 clusters: every other one leaves or joins, or nobody does. Nobody else can write
// meanwhile.
func BenchmarkGroupChange(b *testing.B) {
	for name, specs := range map[string][2]*yardarmv1.ClusterGroupSpec{
		"labels": {
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"half": "0"}}},
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"half": "1"}}},
		},
		"expression": {{Expression: `labels.half == "0"`}, {Expression: `labels.half == "1"`}},
		"nobody": {
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"half": "2"}}},
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"half": "3"}}},
		},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			put := func(fn func(*Tx) error) {
				if _, err := s.Update(context.Background(), fn); err != nil {
					b.Fatal(err)
				}
			}
			put(func(tx *Tx) error {
				for i := range benchRows {
					uid := fmt.Sprintf("c%05d", i)
					if err := tx.PutCluster(cluster(uid, uid, map[string]string{"half": fmt.Sprint(i % 2)})); err != nil {
						return err
					}
				}
				return nil
			})
			for i := 0; b.Loop(); i++ {
				g := group("g", nil)
				g.Spec = specs[i%2]
				put(func(tx *Tx) error { return tx.PutGroup(g) })
			}
		})
	}
}
