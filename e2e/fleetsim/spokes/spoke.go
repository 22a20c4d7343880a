package spokes

import (
	"context"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/played"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/session"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// version is what the spokes say to be of.
const version = "fleetsim"

// objects is how many objects a bundle is reported to have: those of an artifact of 50 KB.
const objects = 45

// spoke is one of the fleet.
type spoke struct {
	fleet    *Fleet
	cluster  Cluster
	kube     string
	identity *enroll.Identity
	state    *state.State
	book     *report.Book
	traffic  traffic
	options  []grpc.DialOption
	began    *timestamppb.Timestamp
	// seen is the newest revision of each bundle whose content is here; apply owns it.
	seen map[string]uint32
}

// enrol makes a spoke of a token, over a connection of its own as every spoke does.
func enrol(ctx context.Context, f *Fleet, c Cluster, source net.IP) (*spoke, error) {
	s := &spoke{fleet: f, cluster: c, kube: "kube-" + c.Name, seen: map[string]uint32{}, book: report.NewBook(), began: timestamppb.Now()}
	s.options = []grpc.DialOption{grpc.WithContextDialer(dialer(source, &s.traffic)), grpc.WithStatsHandler(&s.traffic)}
	logger := slog.New(&f.waits)
	d := newDisk(f.contents)
	var err error
	if s.identity, err = enroll.New(enroll.Config{
		Keep: d, HubAddresses: []string{f.hub}, Token: c.Token, KubeUID: s.kube, Version: version, DialOptions: s.options, Logger: logger,
	}); err != nil {
		return nil, err
	}
	if err := s.identity.Ensure(ctx); err != nil {
		return nil, err
	}
	if s.state, err = state.Open(ctx, d, logger); err != nil {
		return nil, err
	}
	_, uid := s.identity.Cluster()
	return s, s.state.Own(ctx, uid)
}

// run lives as a spoke does, until ctx ends.
func (s *spoke) run(ctx context.Context) error {
	connected := false
	client := session.New(session.Config{
		Identity: s.identity, State: s.state, Book: s.book, Facts: s.facts, Version: version, Instance: s.identity.Instance(),
		KubeUID: s.kube, Logger: slog.New(&s.fleet.waits), DialOptions: s.options,
		// Told by one goroutine, the client's.
		Status: func(st session.Status) {
			if st.Connected != connected && ctx.Err() == nil {
				s.fleet.turned(st.Connected)
			}
			connected = st.Connected
		},
	})
	go s.apply(ctx)
	return client.Run(ctx)
}

func (s *spoke) facts(context.Context) (*yardarmv1.Facts, error) {
	return &yardarmv1.Facts{
		KubernetesVersion: "v1.36.3", Distribution: "kubeadm", Region: s.cluster.Region, Nodes: 3,
		Capacity:  map[string]string{"cpu": "12", "memory": "48Gi", "pods": "330"},
		ApiGroups: []string{"apps/v1", "autoscaling/v2", "batch/v1", "networking.k8s.io/v1", "policy/v1", "rbac.authorization.k8s.io/v1", "v1"},
	}, nil
}

// apply plays the cluster: what is assigned and here is ready, and what is to go is gone.
func (s *spoke) apply(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.state.Changed():
		}
		for _, e := range s.state.Entries() {
			a := e.Assignment
			switch {
			case e.Removal != nil:
				if s.state.Finished(ctx, a.BundleUid) == nil {
					s.book.Remove(a.BundleUid)
				}
			case e.HasContent && (a.Revision > s.seen[a.Bundle] || e.Applied.Digest != a.Digest):
				s.fleet.persisted(a.Bundle, a.Revision, time.Now())
				s.seen[a.Bundle] = a.Revision
				if err := s.state.Applied(ctx, a.BundleUid, state.Applied{Digest: a.Digest}, nil); err != nil {
					return // only when ctx has ended: the disk is memory
				}
				r := s.ready(a)
				s.fleet.play(s.cluster.Name, r)
				s.book.Set(r)
			}
		}
	}
}

// again reports anew about a bundle, as the part that the cluster plays has it by now.
func (s *spoke) again(bundle string) {
	for _, e := range s.state.Entries() {
		if a := e.Assignment; a.Bundle == bundle && e.Applied.Digest == a.Digest {
			r := s.ready(a)
			s.fleet.play(s.cluster.Name, r)
			s.book.Set(r)
		}
	}
}

// ready reports of an assignment that it has just been carried out.
func (s *spoke) ready(a *yardarmv1.AssignmentSpec) *yardarmv1.Report {
	now := timestamppb.Now()
	return played.Ready(&yardarmv1.Report{
		Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest, RenderedDigest: a.Digest, ObservedTime: now,
	}, objects, now, s.began)
}
