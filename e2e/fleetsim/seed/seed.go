// Package seed writes the database of a large fleet as a hub would have left it, with observed state of every bundle in every cluster. No spoke stands
// behind it: what is measured on it, or looked at, is what a hub makes of its rows.
package seed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/artifact"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/played"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// GroupAll is the group of all clusters, which every bundle targets.
	GroupAll = "fleetsim-all"
	// Shares is how many parts the fleet has by the label share.
	Shares = 100
	// artifactSize is that of a bundle's manifests, in bytes: where nobody pulls them, contents are hardly read.
	artifactSize = 10_000
)

// Fleet says how large, and in how many clusters the first bundle fails.
type Fleet struct{ Clusters, Bundles, Failing int }

// BundleName is that of the bundle i.
func BundleName(i int) string { return fmt.Sprintf("app-%d", i) }

// ClusterName is that of the cluster i.
func ClusterName(i int) string { return fmt.Sprintf("shop-%05d", i) }

// Hub seeds the database of a hub that has run and is stopped, by its data directory: with the key of its audit log. It answers the size in bytes.
func Hub(ctx context.Context, dir string, f Fleet) (size int64, err error) {
	sealer, err := seal.New(seal.Config{File: filepath.Join(dir, "hub.key")})
	if err != nil {
		return 0, err
	}
	key, err := sealer.Derive(store.AuditPurpose)
	if err != nil {
		return 0, err
	}
	return Database(ctx, store.Config{Dir: dir, Audit: &store.Audit{Key: key}}, f)
}

// Database seeds a database. The kernel forgets its content then, so that it is opened from the disk.
func Database(ctx context.Context, into store.Config, f Fleet) (size int64, err error) {
	db, err := store.Open(into)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(f.putBundles(ctx, db), f.putClusters(ctx, db), f.putFailing(ctx, db)); err != nil {
		return 0, errors.Join(err, db.Close())
	}
	if err := db.Close(); err != nil {
		return 0, err
	}
	return uncache(filepath.Join(into.Dir, "hub.db"))
}

// Meta is a resource's, whose uid follows from its name.
func Meta(name string, labels map[string]string) *yardarmv1.ObjectMeta {
	return &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, Labels: labels, CreationTimestamp: timestamppb.Now()}
}

func (f Fleet) putBundles(ctx context.Context, db *store.Store) error {
	_, err := db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: Meta(GroupAll, nil), Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}}); err != nil {
			return err
		}
		for i := range f.Bundles {
			name := BundleName(i)
			set, err := manifest.Parse([]manifest.File{{Path: "app.yaml", Data: artifact.Manifests(uint64(i), artifactSize, 0)}}, manifest.Limits{})
			if err != nil {
				return err
			}
			content, digest := set.Canonical(), set.Digest().String()
			encoded := manifest.Compress(content)
			err = errors.Join(
				tx.PutArtifact(&storev1.Artifact{Digest: digest, Size: uint64(len(content)), EncodedSize: uint64(len(encoded))}, encoded),
				tx.PutRevision(&yardarmv1.Revision{Metadata: Meta(name+"-1", nil), Spec: &yardarmv1.RevisionSpec{
					Bundle: name, BundleUid: "uid-" + name, Number: 1, Digest: digest, Size: uint64(len(content)),
				}}),
				tx.PutBundle(&yardarmv1.Bundle{
					Metadata: Meta(name, nil), Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: GroupAll}}},
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

func (f Fleet) putClusters(ctx context.Context, db *store.Store) error {
	const some = 100
	now := timestamppb.Now()
	bundles := make([]*yardarmv1.Bundle, f.Bundles)
	for i := range bundles {
		bundles[i] = db.Read().Bundle("uid-" + BundleName(i))
	}
	for first := 0; first < f.Clusters; first += some {
		if _, err := db.Update(ctx, func(tx *store.Tx) error {
			for i := first; i < min(first+some, f.Clusters); i++ {
				if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: Meta(ClusterName(i), map[string]string{"shop": fmt.Sprint(i), "share": fmt.Sprint(i % Shares)}), Spec: &yardarmv1.ClusterSpec{}}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if err := db.Observe(ctx, func(tx *store.Tx) error {
			for i := first; i < min(first+some, f.Clusters); i++ {
				uid := "uid-" + ClusterName(i)
				if err := tx.PutObserved(&storev1.Observed{ClusterUid: uid, SpokeVersion: "fleetsim", LastSeen: now, FirstConnected: now}); err != nil {
					return err
				}
				for k, b := range bundles {
					// Each bundle has reached the fleet within a minute, some time ago.
					since := &timestamppb.Timestamp{Seconds: now.Seconds - int64(k+1)*3600 - int64(i%60)}
					report := played.Ready(&yardarmv1.Report{
						Bundle: b.Metadata.Name, BundleUid: b.Metadata.Uid, AssignmentHash: make([]byte, 32), Revision: 1, Digest: b.Status.Digest,
						RenderedDigest: b.Status.Digest, ObservedTime: now,
					}, 9, since, since)
					if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Received: now, Report: report}); err != nil {
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

// putFailing has the first clusters report that the first bundle fails, as it is assigned to them.
func (f Fleet) putFailing(ctx context.Context, db *store.Store) error {
	if f.Failing == 0 {
		return nil
	}
	tx, now := db.Read(), timestamppb.Now()
	bundle := tx.Bundle("uid-" + BundleName(0))
	return db.Observe(ctx, func(into *store.Tx) error {
		for i := range f.Failing {
			uid := "uid-" + ClusterName(i)
			a := placement.DesiredOf(tx, tx.Cluster(uid), bundle)
			if err := into.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Received: now, Report: &yardarmv1.Report{
				Bundle: bundle.Metadata.Name, BundleUid: bundle.Metadata.Uid, AssignmentHash: a.Hash, Revision: 1, Digest: a.Digest, Phase: yardarmv1.PhaseFailed,
				Reason: "ApplyFailed", Message: "1 of 9 objects failed", Since: now, ObservedTime: now, Objects: &yardarmv1.ObjectCounts{Total: 9, Applied: 8, Ready: 8, Failed: 1},
				Problems: []*yardarmv1.ObjectProblem{{Object: "apps/Deployment shop/" + ClusterName(i), Reason: "Forbidden", Since: now,
					Message: fmt.Sprintf("deployments.apps %q is forbidden: exceeded quota, used %d of 8", ClusterName(i), i%9)}},
			}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// uncache has the kernel forget a file's content, and answers its size.
func uncache(path string) (size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), errors.Join(file.Sync(), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED))
}
