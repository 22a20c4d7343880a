package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/artifact"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// openArtifact is the size of the artifacts of a database that is only opened, in bytes: contents are not read then.
const openArtifact = 10_000

// open writes a large database as a hub would have left it, with observed state of every bundle in every cluster, drops the
// kernel's copy of it, and starts a hub on it.
func open(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: oneCaller})
	if err != nil {
		return nil, err
	}
	h := &hub{own: own}
	// The first start makes what only a hub can make: its key and its CA.
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := own.Stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	size, err := seedHub(ctx, c, own.DataDir())
	if err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	seeded := time.Since(began)
	c.say("wrote a database of %d MB in %s", size>>20, short(seeded))
	began = time.Now()
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	took := time.Since(began)
	memory, err := h.memory()
	if err != nil {
		return nil, err
	}
	return &report.Open{Clusters: c.Clusters, Bundles: c.ClusterBundles, Seconds: took.Seconds(), RSS: memory.Resident, Peak: memory.Peak, DatabaseBytes: size, SeedSeconds: seeded.Seconds()}, nil
}

// seedHub seeds the database of a hub that has run, with the key of its audit log.
func seedHub(ctx context.Context, c Config, dir string) (size int64, err error) {
	sealer, err := seal.New(seal.Config{File: filepath.Join(dir, "hub.key")})
	if err != nil {
		return 0, err
	}
	key, err := sealer.Derive(store.AuditPurpose)
	if err != nil {
		return 0, err
	}
	return seed(ctx, c, store.Config{Dir: dir, Audit: &store.Audit{Key: key}})
}

// seed writes clusters, a group of them all, bundles that target it, and reports, with hub/store itself.
func seed(ctx context.Context, c Config, into store.Config) (size int64, err error) {
	db, err := store.Open(into)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(seedBundles(ctx, c, db), seedClusters(ctx, c, db)); err != nil {
		return 0, errors.Join(err, db.Close())
	}
	if err := db.Close(); err != nil {
		return 0, err
	}
	return uncache(filepath.Join(into.Dir, "hub.db"))
}

func meta(name string, labels map[string]string) *yardarmv1.ObjectMeta {
	return &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, Labels: labels, CreationTimestamp: timestamppb.Now()}
}

func seedBundles(ctx context.Context, c Config, db *store.Store) error {
	_, err := db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: meta(groupAll, nil), Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}}); err != nil {
			return err
		}
		for i := range c.ClusterBundles {
			name := bundleName(i)
			content := artifact.Manifests(uint64(i), openArtifact, 0)
			encoded := manifest.Compress(content)
			digest := manifest.DigestOf(content).String()
			err := errors.Join(
				tx.PutArtifact(&storev1.Artifact{Digest: digest, Size: uint64(len(content)), EncodedSize: uint64(len(encoded))}, encoded),
				tx.PutRevision(&yardarmv1.Revision{Metadata: meta(name+"-1", nil), Spec: &yardarmv1.RevisionSpec{
					Bundle: name, BundleUid: "uid-" + name, Number: 1, Digest: digest, Size: uint64(len(content)),
				}}),
				tx.PutBundle(&yardarmv1.Bundle{
					Metadata: meta(name, nil), Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: groupAll}}},
					Status: &yardarmv1.BundleStatus{Revision: 1, LatestRevision: 1, Digest: digest},
				}))
			if err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func seedClusters(ctx context.Context, c Config, db *store.Store) error {
	const some = 100
	now := timestamppb.Now()
	bundles := make([]*yardarmv1.Bundle, c.ClusterBundles)
	for i := range bundles {
		bundles[i] = db.Read().Bundle("uid-" + bundleName(i))
	}
	for first := 0; first < c.Clusters; first += some {
		if _, err := db.Update(ctx, func(tx *store.Tx) error {
			for i := first; i < min(first+some, c.Clusters); i++ {
				if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: meta(fmt.Sprintf("shop-%05d", i), map[string]string{"shop": fmt.Sprint(i), "share": fmt.Sprint(i % shares)}), Spec: &yardarmv1.ClusterSpec{}}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if err := db.Observe(ctx, func(tx *store.Tx) error {
			for i := first; i < min(first+some, c.Clusters); i++ {
				uid := fmt.Sprintf("uid-shop-%05d", i)
				if err := tx.PutObserved(&storev1.Observed{ClusterUid: uid, SpokeVersion: "fleetsim", LastSeen: now, FirstConnected: now}); err != nil {
					return err
				}
				for _, b := range bundles {
					if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Received: now, Report: &yardarmv1.Report{
						Bundle: b.Metadata.Name, BundleUid: b.Metadata.Uid, AssignmentHash: make([]byte, 32), Revision: 1, Digest: b.Status.Digest,
						RenderedDigest: b.Status.Digest, Phase: yardarmv1.PhaseReady, Since: now, ObservedTime: now,
						Objects: &yardarmv1.ObjectCounts{Total: 9, Applied: 9, Ready: 9},
					}}); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// uncache has the kernel forget a file's content, and answers its size.
func uncache(path string) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}
