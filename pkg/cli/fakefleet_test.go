package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// testToken is the credential that the fake takes.
const testToken = "yat_test"

// fleet is a hub in memory: it lists, pages and watches what a test puts into it, and notes what it is asked to change. It decides little.
type fleet struct {
	hubv1.UnimplementedFleetServiceServer

	mu      sync.Mutex // guards all below
	objects map[string]map[string]client.Object
	events  []*yardarmv1.Event
	audit   []*hubv1.AuditEntry
	changed chan struct{} // closed and replaced with each change
	// fail has the error that a method answers, by its name.
	fail map[string]error
	// pageSize bounds pages below what is asked for.
	pageSize int
	// calls are the requests of methods that change something.
	calls []proto.Message
	// asked are the filters and orders of lists of clusters.
	asked []string
	// published are the files of the last publication.
	published []manifest.File
	// watches counts the streams that were opened, and open those that are open.
	watches, open int
	// cut ends open streams when it is closed.
	cut chan struct{}
}

func newFleet(objects ...client.Object) *fleet {
	f := &fleet{objects: make(map[string]map[string]client.Object), changed: make(chan struct{}), cut: make(chan struct{}), fail: make(map[string]error), pageSize: 2}
	f.put(objects...)
	return f
}

// put adds and changes resources.
func (f *fleet) put(objects ...client.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, object := range objects {
		kind := typeOf(object).Kind
		if f.objects[kind] == nil {
			f.objects[kind] = make(map[string]client.Object)
		}
		f.objects[kind][object.GetMetadata().GetName()] = object
	}
	f.wake()
}

func (f *fleet) remove(kind, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects[kind], name)
	f.wake()
}

func (f *fleet) addEvents(events ...*yardarmv1.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, events...)
	f.wake()
}

// wake is called with the lock held.
func (f *fleet) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// failWith makes a method fail; nil lets it work again.
func (f *fleet) failWith(method string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[method] = err
}

// cutStreams ends all open streams, as a hub does that stops.
func (f *fleet) cutStreams() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.cut)
	f.cut = make(chan struct{})
}

func (f *fleet) openStreams() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// lastCall is the last request that was to change something.
func (f *fleet) lastCall() proto.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return nil
	}
	return f.calls[len(f.calls)-1]
}

func (f *fleet) note(req proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, req)
}

// options check the credential and apply fail.
func (f *fleet) options() []grpc.ServerOption {
	check := func(ctx context.Context, method string) error {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+testToken {
			return status.Error(codes.Unauthenticated, "the credential is not known")
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.fail[method[strings.LastIndexByte(method, '/')+1:]]
	}
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := check(s.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(srv, s)
		}),
	}
}

// sorted lists a kind by name.
func sorted[T client.Object](f *fleet, kind string, keep func(T) bool) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []T
	for _, name := range slices.Sorted(maps.Keys(f.objects[kind])) {
		if object := f.objects[kind][name].(T); keep == nil || keep(object) {
			out = append(out, object)
		}
	}
	return out
}

func find[T client.Object](f *fleet, kind, name string) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, ok := f.objects[kind][name].(T)
	if !ok {
		return object, status.Errorf(codes.NotFound, "there is no %s %q", strings.ToLower(kind), name)
	}
	return object, nil
}

// paged cuts a page out of a list; tokens are offsets.
func paged[T any](f *fleet, list []T, size uint32, token string) (page []T, next string, total uint32) {
	offset, _ := strconv.Atoi(token)
	end := min(len(list), offset+min(int(size), f.pageSize))
	if end < len(list) {
		next = strconv.Itoa(end)
	}
	return list[offset:end], next, uint32(len(list))
}

func (f *fleet) GetHub(context.Context, *hubv1.GetHubRequest) (*hubv1.Hub, error) {
	return &hubv1.Hub{Version: "v1.2.3", Fleet: "test-fleet", Cursor: "1a2b3c4d/1042"}, nil
}

func (f *fleet) ListClusters(_ context.Context, req *hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error) {
	labels, err := selector.Parse(req.GetSelector())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	all := sorted(f, yardarmv1.KindCluster, func(c *yardarmv1.Cluster) bool {
		return labels.Matches(c.GetMetadata().GetLabels()) && (req.GetGroup() == "" || slices.Contains(c.GetStatus().GetGroups(), req.GetGroup()))
	})
	f.mu.Lock()
	f.asked = append(f.asked, req.GetFilter()+"|"+req.GetOrderBy())
	f.mu.Unlock()
	resp := &hubv1.ListClustersResponse{}
	resp.Clusters, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetCluster(_ context.Context, req *hubv1.GetClusterRequest) (*yardarmv1.Cluster, error) {
	return find[*yardarmv1.Cluster](f, yardarmv1.KindCluster, req.GetName())
}

func (f *fleet) ListClusterGroups(_ context.Context, req *hubv1.ListClusterGroupsRequest) (*hubv1.ListClusterGroupsResponse, error) {
	resp := &hubv1.ListClusterGroupsResponse{}
	all := sorted[*yardarmv1.ClusterGroup](f, yardarmv1.KindClusterGroup, nil)
	resp.ClusterGroups, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetClusterGroup(_ context.Context, req *hubv1.GetClusterGroupRequest) (*yardarmv1.ClusterGroup, error) {
	return find[*yardarmv1.ClusterGroup](f, yardarmv1.KindClusterGroup, req.GetName())
}

func (f *fleet) ListBundles(_ context.Context, req *hubv1.ListBundlesRequest) (*hubv1.ListBundlesResponse, error) {
	labels, err := selector.Parse(req.GetSelector())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	resp := &hubv1.ListBundlesResponse{}
	all := sorted(f, yardarmv1.KindBundle, func(b *yardarmv1.Bundle) bool { return labels.Matches(b.GetMetadata().GetLabels()) })
	resp.Bundles, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetBundle(_ context.Context, req *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
	return find[*yardarmv1.Bundle](f, yardarmv1.KindBundle, req.GetName())
}

func (f *fleet) ListRevisions(_ context.Context, req *hubv1.ListRevisionsRequest) (*hubv1.ListRevisionsResponse, error) {
	resp := &hubv1.ListRevisionsResponse{}
	all := sorted(f, yardarmv1.KindRevision, func(r *yardarmv1.Revision) bool { return r.GetSpec().GetBundle() == req.GetBundle() })
	slices.Reverse(all)
	resp.Revisions, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetRevision(_ context.Context, req *hubv1.GetRevisionRequest) (*yardarmv1.Revision, error) {
	return find[*yardarmv1.Revision](f, yardarmv1.KindRevision, fmt.Sprintf("%s-%d", req.GetBundle(), req.GetNumber()))
}

func (f *fleet) ListAssignments(_ context.Context, req *hubv1.ListAssignmentsRequest) (*hubv1.ListAssignmentsResponse, error) {
	resp := &hubv1.ListAssignmentsResponse{}
	all := sorted(f, yardarmv1.KindAssignment, func(x *yardarmv1.Assignment) bool {
		return (req.GetCluster() == "" || x.GetSpec().GetCluster() == req.GetCluster()) && (req.GetBundle() == "" || x.GetSpec().GetBundle() == req.GetBundle())
	})
	resp.Assignments, resp.NextPageToken, resp.TotalSize = paged(f, all, req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetAssignment(_ context.Context, req *hubv1.GetAssignmentRequest) (*yardarmv1.Assignment, error) {
	return find[*yardarmv1.Assignment](f, yardarmv1.KindAssignment, req.GetCluster()+"."+req.GetBundle())
}

// PreviewAssignment shows previewed for every assignment; it is current where it reports the assignment's revision.
func (f *fleet) PreviewAssignment(req *hubv1.PreviewAssignmentRequest, s grpc.ServerStreamingServer[hubv1.PreviewAssignmentResponse]) error {
	x, err := find[*yardarmv1.Assignment](f, yardarmv1.KindAssignment, req.GetCluster()+"."+req.GetBundle())
	if err != nil {
		return err
	}
	set, err := manifest.Parse([]manifest.File{{Path: "web.yaml", Data: []byte(previewed)}}, manifest.Limits{})
	if err != nil {
		return err
	}
	data, report := set.Canonical(), x.GetStatus().GetReport()
	p := &hubv1.Preview{Cluster: req.GetCluster(), Bundle: req.GetBundle(), Revision: x.GetSpec().GetRevision(), Digest: x.GetSpec().GetDigest(),
		RenderedDigest: set.Digest().String(), Size: uint64(len(data)), ReportedDigest: report.GetRenderedDigest(), AsOf: x.GetStatus().GetAsOf(),
		Current: report.GetRevision() == x.GetSpec().GetRevision(), Same: report.GetRenderedDigest() == set.Digest().String()}
	if err := s.Send(&hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Preview{Preview: p}}); err != nil {
		return err
	}
	for _, piece := range [][]byte{data[:10], data[10:]} {
		if err := s.Send(&hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Data{Data: piece}}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) Apply(_ context.Context, req *hubv1.ApplyRequest) (*hubv1.ApplyResponse, error) {
	f.note(req)
	resp := &hubv1.ApplyResponse{}
	for _, r := range req.GetResources() {
		outcome, object := "created", objectIn(r)
		f.mu.Lock()
		if before := f.objects[object.GetKind()][object.GetMetadata().GetName()]; before != nil {
			outcome = "configured"
		}
		f.mu.Unlock()
		result := &hubv1.ApplyResult{Resource: r, Outcome: outcome}
		if bundle := r.GetBundle(); len(bundle.GetSpec().GetDelivery().GetDependsOn()) > 0 {
			result.Warnings = []string{fmt.Sprintf("bundle %q waits for others", bundle.GetMetadata().GetName())}
		}
		resp.Results = append(resp.Results, result)
	}
	return resp, nil
}

func (f *fleet) LabelCluster(_ context.Context, req *hubv1.LabelClusterRequest) (*yardarmv1.Cluster, error) {
	f.note(req)
	c, err := find[*yardarmv1.Cluster](f, yardarmv1.KindCluster, req.GetName())
	if err != nil {
		return nil, err
	}
	c = proto.CloneOf(c)
	for key, value := range req.GetSet() {
		if before, ok := c.Metadata.Labels[key]; ok && before != value && !req.GetOverwrite() {
			return nil, status.Errorf(codes.FailedPrecondition, "label %q of cluster %q is %q already; to change it, say so (`--overwrite`)", key, req.GetName(), before)
		}
	}
	if c.Metadata.Labels == nil {
		c.Metadata.Labels = make(map[string]string)
	}
	maps.Copy(c.Metadata.Labels, req.GetSet())
	for _, key := range req.GetRemove() {
		delete(c.Metadata.Labels, key)
	}
	c.Status.Groups = []string{"all"}
	if c.Metadata.Labels["env"] == "prod" {
		c.Status.Groups = []string{"all", "prod"}
	}
	f.put(c)
	return c, nil
}

func (f *fleet) EnrollCluster(_ context.Context, req *hubv1.EnrollClusterRequest) (*hubv1.EnrollClusterResponse, error) {
	f.note(req)
	c := &yardarmv1.Cluster{Kind: yardarmv1.KindCluster, Metadata: &yardarmv1.ObjectMeta{Name: req.GetName(), Labels: req.GetLabels()},
		Status: &yardarmv1.ClusterStatus{Phase: yardarmv1.ClusterEnrolling, Presence: yardarmv1.PresenceNeverConnected}}
	f.put(c)
	return &hubv1.EnrollClusterResponse{Cluster: c, Token: "ye1-secret", Expires: timestamppb.New(testTime.Add(req.GetTtl().AsDuration())),
		SpokeAddresses: []string{"hub.example.com:7444"}}, nil
}

func (f *fleet) BanCluster(_ context.Context, req *hubv1.BanClusterRequest) (*yardarmv1.Cluster, error) {
	f.note(req)
	return find[*yardarmv1.Cluster](f, yardarmv1.KindCluster, req.GetName())
}

func (f *fleet) UnbanCluster(_ context.Context, req *hubv1.UnbanClusterRequest) (*yardarmv1.Cluster, error) {
	f.note(req)
	return find[*yardarmv1.Cluster](f, yardarmv1.KindCluster, req.GetName())
}

func (f *fleet) DeleteCluster(_ context.Context, req *hubv1.DeleteClusterRequest) (*hubv1.DeleteClusterResponse, error) {
	f.note(req)
	c, err := find[*yardarmv1.Cluster](f, yardarmv1.KindCluster, req.GetName())
	if err != nil || req.GetWorkloads() == yardarmv1.Workloads_WORKLOADS_KEEP {
		return &hubv1.DeleteClusterResponse{}, err
	}
	return &hubv1.DeleteClusterResponse{Cluster: c}, nil
}

func (f *fleet) DeleteClusterGroup(_ context.Context, req *hubv1.DeleteClusterGroupRequest) (*hubv1.DeleteClusterGroupResponse, error) {
	f.note(req)
	g, err := find[*yardarmv1.ClusterGroup](f, yardarmv1.KindClusterGroup, req.GetName())
	if err == nil && len(g.GetStatus().GetBundles()) > 0 {
		err = status.Errorf(codes.FailedPrecondition, "cluster group %q is a target of bundle %q; change its targets first", req.GetName(), g.GetStatus().GetBundles()[0])
	}
	return &hubv1.DeleteClusterGroupResponse{}, err
}

func (f *fleet) DeleteBundle(_ context.Context, req *hubv1.DeleteBundleRequest) (*hubv1.DeleteBundleResponse, error) {
	f.note(req)
	return &hubv1.DeleteBundleResponse{}, nil
}

func (f *fleet) PublishRevision(s grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]) error {
	var files []manifest.File
	var publication *hubv1.Publication
	for {
		req, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if publication == nil {
			publication = req.GetPublication()
			f.note(publication)
			continue
		}
		if n := len(files); n > 0 && files[n-1].Path == req.GetFile().GetPath() {
			files[n-1].Data = append(files[n-1].Data, req.GetFile().GetData()...)
			continue
		}
		files = append(files, manifest.File{Path: req.GetFile().GetPath(), Data: req.GetFile().GetData()})
	}
	f.mu.Lock()
	f.published = files
	f.mu.Unlock()
	set, err := manifest.Parse(files, manifest.Limits{})
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	bundle, err := find[*yardarmv1.Bundle](f, yardarmv1.KindBundle, publication.GetBundle())
	if err != nil {
		bundle = &yardarmv1.Bundle{Kind: yardarmv1.KindBundle, Metadata: &yardarmv1.ObjectMeta{Name: publication.GetBundle()}, Status: &yardarmv1.BundleStatus{}}
	}
	resp := &hubv1.PublishRevisionResponse{Outcome: "unchanged", Clusters: bundle.GetStatus().GetClusters().GetTotal()}
	number := bundle.GetStatus().GetRevision()
	if set.Digest().String() != bundle.GetStatus().GetDigest() {
		number, resp.Outcome = number+1, "published"
	}
	if len(publication.GetGroups()) == 1 && publication.GetGroups()[0] == "empty" {
		resp.Warnings = []string{`cluster group "empty" matches no cluster`}
	}
	resp.Revision = newRevision(publication.GetBundle(), number, set.Digest().String())
	resp.Revision.Spec.Provenance = publication.GetProvenance()
	resp.Trial = exampleTrial(publication.GetTrial())
	if publication.GetDiff() {
		resp.Diff = exampleDiff(resp.GetOutcome() == "published")
		if resp.GetOutcome() == "published" {
			resp.Plan = examplePlan()
		}
	}
	if !publication.GetDryRun() {
		bundle = proto.CloneOf(bundle)
		bundle.Status.Revision, bundle.Status.LatestRevision, bundle.Status.Digest = number, number, set.Digest().String()
		f.put(bundle, resp.Revision)
	}
	return s.SendAndClose(resp)
}

func (f *fleet) UndoRollout(_ context.Context, req *hubv1.UndoRolloutRequest) (*hubv1.PublishRevisionResponse, error) {
	f.note(req)
	bundle, err := find[*yardarmv1.Bundle](f, yardarmv1.KindBundle, req.GetBundle())
	if err != nil {
		return nil, err
	}
	r := newRevision(req.GetBundle(), bundle.GetStatus().GetRevision()+1, "sha256:"+strings.Repeat("2", 64))
	r.Spec.Provenance.UndoOf = bundle.GetStatus().GetRevision() - 1
	if req.GetToRevision() > 0 {
		r.Spec.Provenance.UndoOf = req.GetToRevision()
	}
	return &hubv1.PublishRevisionResponse{Revision: r, Outcome: "published", Clusters: bundle.GetStatus().GetClusters().GetTotal()}, nil
}

func (f *fleet) Accept(_ context.Context, req *hubv1.AcceptRequest) (*hubv1.AcceptResponse, error) {
	f.note(req)
	return &hubv1.AcceptResponse{Accepted: []string{"eu-2.web"}}, nil
}

// Reconcile makes the assignments that are asked for Pending, as they are until their spokes have reported.
func (f *fleet) Reconcile(_ context.Context, req *hubv1.ReconcileRequest) (*hubv1.ReconcileResponse, error) {
	f.note(req)
	resp := &hubv1.ReconcileResponse{}
	for _, x := range sorted[*yardarmv1.Assignment](f, yardarmv1.KindAssignment, nil) {
		if req.GetCluster() != "" && x.GetSpec().GetCluster() != req.GetCluster() || req.GetBundle() != "" && x.GetSpec().GetBundle() != req.GetBundle() {
			continue
		}
		resp.Assignments = append(resp.Assignments, x.GetMetadata().GetName())
		if phase := x.GetStatus().GetPhase(); phase != yardarmv1.PhaseStale && phase != yardarmv1.PhaseNeverConnected {
			x = proto.CloneOf(x)
			x.Spec.Reconcile++
			x.Status.Phase = yardarmv1.PhasePending
			f.put(x)
		}
	}
	if len(resp.Assignments) == 0 {
		return nil, status.Error(codes.FailedPrecondition, "there is nothing to reconcile")
	}
	return resp, nil
}

// snapshot is what a watch is to show, by name.
func (f *fleet) snapshot(req *hubv1.WatchRequest) (map[string]client.Object, <-chan struct{}, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[string]client.Object)
	for name, object := range f.objects[req.GetKind()] {
		x, ok := object.(*yardarmv1.Assignment)
		if req.GetName() != "" && name != req.GetName() ||
			ok && (req.GetBundle() != "" && x.GetSpec().GetBundle() != req.GetBundle() || req.GetCluster() != "" && x.GetSpec().GetCluster() != req.GetCluster()) {
			continue
		}
		out[name] = object
	}
	return out, f.changed, f.cut
}

func (f *fleet) stream(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
	f.watches += max(n, 0)
}

func (f *fleet) Watch(req *hubv1.WatchRequest, s grpc.ServerStreamingServer[hubv1.WatchResponse]) error {
	f.stream(1)
	defer f.stream(-1)
	sent := make(map[string]client.Object)
	for first := true; ; first = false {
		now, changed, cut := f.snapshot(req)
		for _, name := range slices.Sorted(maps.Keys(now)) {
			kind := "MODIFIED"
			if sent[name] == nil {
				kind = "ADDED"
			}
			if sent[name] == now[name] {
				continue
			}
			if err := s.Send(watchResponse(kind, now[name])); err != nil {
				return err
			}
		}
		for name := range sent {
			if now[name] == nil {
				if err := s.Send(watchResponse("DELETED", sent[name])); err != nil {
					return err
				}
			}
		}
		sent = now
		if first {
			if err := s.Send(&hubv1.WatchResponse{Type: "BOOKMARK"}); err != nil {
				return err
			}
		}
		select {
		case <-s.Context().Done():
			return s.Context().Err()
		case <-cut:
			return status.Error(codes.Unavailable, "the hub is stopping")
		case <-changed:
		}
	}
}

func watchResponse(kind string, object client.Object) *hubv1.WatchResponse {
	resp := &hubv1.WatchResponse{Type: kind}
	switch o := object.(type) {
	case *yardarmv1.Cluster:
		resp.Resource = &hubv1.WatchResponse_Cluster{Cluster: o}
	case *yardarmv1.ClusterGroup:
		resp.Resource = &hubv1.WatchResponse_ClusterGroup{ClusterGroup: o}
	case *yardarmv1.Bundle:
		resp.Resource = &hubv1.WatchResponse_Bundle{Bundle: o}
	case *yardarmv1.Assignment:
		resp.Resource = &hubv1.WatchResponse_Assignment{Assignment: o}
	}
	return resp
}

func (f *fleet) WatchEvents(req *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
	f.stream(1)
	defer f.stream(-1)
	last := req.GetAfter()
	for first := true; ; first = false {
		var past []*yardarmv1.Event
		f.mu.Lock()
		changed, cut := f.changed, f.cut
		for _, e := range f.events {
			if e.GetSequence() > last && (req.GetCluster() == "" || e.GetCluster() == req.GetCluster()) && (req.GetBundle() == "" || e.GetBundle() == req.GetBundle()) {
				past = append(past, e)
			}
		}
		f.mu.Unlock()
		if n := int(req.GetTail()); first && n > 0 && len(past) > n {
			past = past[len(past)-n:]
		}
		for _, e := range past {
			last = e.GetSequence()
			if err := s.Send(&hubv1.WatchEventsResponse{Event: e}); err != nil {
				return err
			}
		}
		if !req.GetFollow() {
			return nil
		}
		select {
		case <-s.Context().Done():
			return s.Context().Err()
		case <-cut:
			return status.Error(codes.Unavailable, "the hub is stopping")
		case <-changed:
		}
	}
}

// testTime is the clock of all tests.
var testTime = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(testTime.Add(-d)) }
