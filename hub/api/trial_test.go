package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// triers plays the clusters that are asked, by what answer says.
type triers struct {
	answer func(ctx context.Context, a *yardarmv1.AssignmentSpec, content string) *yardarmv1.TrialResult

	mu    sync.Mutex
	asked []string // guarded by mu
}

func (f *triers) Try(ctx context.Context, _ string, a *yardarmv1.AssignmentSpec, encoded []byte) *yardarmv1.TrialResult {
	f.mu.Lock()
	f.asked = append(f.asked, a.GetCluster())
	f.mu.Unlock()
	content, err := manifest.Decompress(encoded, int(a.GetSize()))
	if err != nil {
		return &yardarmv1.TrialResult{Reason: err.Error()}
	}
	return f.answer(ctx, a, string(content))
}

// take answers who was asked since the last call, sorted.
func (f *triers) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	slices.Sort(asked)
	return asked
}

func startTrying(t *testing.T, f *triers) *apitest.Hub {
	t.Helper()
	return apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Trials = f })
}

// trialText is a trial in lines, as in "2 (berlin oslo): changed 1".
func trialText(r *hubv1.Trial) string {
	var lines []string
	for _, p := range r.GetParts() {
		lines = append(lines, fmt.Sprintf("%d (%s): %s changed %d refused %d", p.Clusters, strings.Join(p.Names, " "), p.Result.Reason, p.Result.Changed, p.Result.Refused))
	}
	return strings.Join(lines, "\n")
}

func TestTrial(t *testing.T) {
	f := &triers{answer: func(_ context.Context, a *yardarmv1.AssignmentSpec, content string) *yardarmv1.TrialResult {
		if a.GetRevision() != 2 || !strings.Contains(content, `"two"`) {
			return &yardarmv1.TrialResult{Reason: fmt.Sprintf("revision %d of %s", a.GetRevision(), content)}
		}
		if a.GetLabels()["site"] == "south" {
			return &yardarmv1.TrialResult{Changed: 1, Refused: 1}
		}
		return &yardarmv1.TrialResult{Changed: 1}
	}}
	h := startTrying(t, f)
	apply(t, h, group("prod", "env=prod"), group("south", "site=south"), group("lab", "env=lab"),
		&hubv1.Resource{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "web"}, Spec: &yardarmv1.BundleSpec{
			Targets: []*yardarmv1.Target{{Group: "prod"}}, Customization: &yardarmv1.Customization{Substitute: true}}}}})
	for name, labels := range map[string]map[string]string{
		"berlin": {"env": "prod", "site": "north"}, "oslo": {"env": "prod", "site": "north"}, "rome": {"env": "prod", "site": "south"}, "away": {"env": "prod", "site": "north"},
		"stale": {"env": "prod", "site": "south"}, "lab": {"env": "lab", "site": "north"},
	} {
		uid := h.Enrolled(t, name, labels)
		switch name {
		case "away":
		case "stale":
			h.Present(t, uid, yardarmv1.PresenceStale)
		default:
			h.Present(t, uid, yardarmv1.PresenceConnected)
		}
	}
	file := func(value string) []manifest.File {
		return []manifest.File{apitest.ConfigMap("", "web", `"`+value+`"`), {Path: "site.yaml", Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: site}\ndata: {site: \"${labels.site}\"}\n")}}
	}
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, file("one")...))
	try := func(req *hubv1.TrialRequest) string {
		t.Helper()
		return trialText(must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", DryRun: true, Trial: req}, file("two")...)).GetTrial())
	}
	for _, tc := range []struct {
		what, want string
		req        *hubv1.TrialRequest
		asked      string
	}{
		{"all", "1 (rome):  changed 1 refused 1\n2 (away stale): NotConnected changed 0 refused 0\n2 (berlin oslo):  changed 1 refused 0", &hubv1.TrialRequest{}, "berlin oslo rome"},
		{"by labels", "1 (away): NotConnected changed 0 refused 0\n2 (berlin oslo):  changed 1 refused 0", nil, "berlin oslo"},
		{"by group", "1 (rome):  changed 1 refused 1\n1 (stale): NotConnected changed 0 refused 0", &hubv1.TrialRequest{Group: "south"}, "rome"},
		{"by name", "1 (lab): NotTargeted changed 0 refused 0\n1 (oslo):  changed 1 refused 0", &hubv1.TrialRequest{Clusters: []string{"oslo", "lab", "oslo"}}, "oslo"},
		{"by name and group", "", &hubv1.TrialRequest{Clusters: []string{"oslo"}, Group: "south"}, ""},
	} {
		if tc.req == nil {
			tc.req = &hubv1.TrialRequest{Selector: "site in (north)"}
		}
		if got := try(tc.req); got != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", tc.what, got, tc.want)
		}
		if asked := strings.Join(f.take(), " "); asked != tc.asked {
			t.Errorf("%s: %q were asked, want %q", tc.what, asked, tc.asked)
		}
	}
	if r := assignment(t, h, "berlin", "web").Spec.Revision; r != 1 {
		t.Errorf("it has changed something: revision %d", r)
	}

	for what, tc := range map[string]struct {
		p    *hubv1.Publication
		code codes.Code
	}{
		"dry run alone":      {&hubv1.Publication{Bundle: "web", Trial: &hubv1.TrialRequest{}}, codes.InvalidArgument},
		"trial.timeout":      {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Timeout: durationpb.New(time.Hour)}}, codes.InvalidArgument},
		"trial.selector":     {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Selector: "a in ("}}, codes.InvalidArgument},
		"trial.clusters":     {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Clusters: make([]string, 51)}}, codes.InvalidArgument},
		"trial.clusters[0]":  {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Clusters: []string{"A/B"}}}, codes.InvalidArgument},
		`cluster "atlantis"`: {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Clusters: []string{"atlantis"}}}, codes.NotFound},
		`group "atlantis"`:   {&hubv1.Publication{Bundle: "web", DryRun: true, Trial: &hubv1.TrialRequest{Group: "atlantis"}}, codes.NotFound},
	} {
		_, err := h.Publish(t.Context(), tc.p, file("two")...)
		refused(t, err, tc.code, strings.ReplaceAll(what, "dry run alone", "dry_run alone"))
	}
	if asked := f.take(); len(asked) > 0 {
		t.Errorf("%v were asked", asked)
	}
}

// Whoever may publish and not see manifests has nothing tried, and whoever may in a group has it tried there alone.
func TestTrialNeedsWhatADiffDoes(t *testing.T) {
	f := &triers{answer: func(context.Context, *yardarmv1.AssignmentSpec, string) *yardarmv1.TrialResult {
		return &yardarmv1.TrialResult{Changed: 1}
	}}
	h := startTrying(t, f)
	apply(t, h, group("prod", "env=prod"), group("lab", "env=lab"))
	for name, env := range map[string]string{"berlin": "prod", "hut": "lab"} {
		h.Present(t, h.Enrolled(t, name, map[string]string{"env": env}), yardarmv1.PresenceConnected)
	}
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"prod", "lab"}}, apitest.ConfigMap("", "web", `"1"`)))
	bind := func(name string, rules []*yardarmv1.Rule, groups ...string) *apitest.Hub {
		token := h.Issue(t, name, time.Time{})
		var scope *yardarmv1.Scope
		if groups != nil {
			scope = &yardarmv1.Scope{Names: groups}
		}
		apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: &yardarmv1.RoleSpec{Rules: rules}}}},
			&hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: name},
				Spec: &yardarmv1.RoleBindingSpec{Role: name, Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: name}}, ClusterGroups: scope}}}})
		return &apitest.Hub{FleetServiceClient: h.As(t, token)}
	}
	publish := &yardarmv1.Rule{Verbs: []string{yardarmv1.VerbPublish, yardarmv1.VerbGet}, Resources: []string{yardarmv1.ResourceBundles, yardarmv1.ResourceClusters}}
	see := &yardarmv1.Rule{Verbs: []string{yardarmv1.VerbGet}, Resources: []string{yardarmv1.ResourceArtifacts}}
	try := func(who *apitest.Hub, bundle string, groups ...string) (*hubv1.PublishRevisionResponse, error) {
		return who.Publish(t.Context(), &hubv1.Publication{Bundle: bundle, Groups: groups, DryRun: true, Trial: &hubv1.TrialRequest{}}, apitest.ConfigMap("", bundle, `"2"`))
	}
	_, err := try(bind("blind", []*yardarmv1.Rule{publish}), "web")
	refused(t, err, codes.PermissionDenied, "artifact")
	_, err = try(bind("viewer-of-all", []*yardarmv1.Rule{see}), "web")
	refused(t, err, codes.PermissionDenied, "publish")
	lab := bind("lab", []*yardarmv1.Rule{publish, see}, "lab")
	_, err = try(lab, "web")
	refused(t, err, codes.PermissionDenied, "prod")
	if asked := f.take(); len(asked) > 0 {
		t.Errorf("%v were asked", asked)
	}
	if r := must[*hubv1.PublishRevisionResponse](t)(try(lab, "own", "lab")); trialText(r.GetTrial()) != "1 (hut):  changed 1 refused 0" {
		t.Errorf("in their own group: %v", r.GetTrial())
	}
}

// However many clusters there are, and whatever they say, so many are asked, an answer fits into a message, and comes in time.
func TestTrialIsBounded(t *testing.T) {
	f := &triers{answer: func(ctx context.Context, a *yardarmv1.AssignmentSpec, _ string) *yardarmv1.TrialResult {
		r := &yardarmv1.TrialResult{Changed: 100, Message: a.GetCluster()}
		for i := range 100 {
			r.Objects = append(r.Objects, &yardarmv1.TriedObject{Object: fmt.Sprint(a.GetCluster(), i), Message: strings.Repeat("x", 1000)})
		}
		return r
	}}
	h := startTrying(t, f)
	apply(t, h, group("prod", "env=prod"))
	h.Update(t, func(tx *store.Tx) error {
		for i := range 70 {
			uid := fmt.Sprintf("c%02d", i)
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Labels: map[string]string{"env": "prod"}}}); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 60 {
		h.Present(t, fmt.Sprintf("c%02d", i), yardarmv1.PresenceConnected)
	}
	publication := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}, DryRun: true, Trial: &hubv1.TrialRequest{Timeout: durationpb.New(5 * time.Second)}}
	send := func() (*hubv1.PublishRevisionResponse, error) {
		return h.Publish(t.Context(), publication, apitest.ConfigMap("", "web", `"1"`))
	}
	r := must[*hubv1.PublishRevisionResponse](t)(send()).GetTrial()
	if asked := f.take(); len(asked) != 50 || r.NotAsked != 10 || len(r.Parts) != 51 || r.Parts[0].Clusters != 10 {
		t.Errorf("%d were asked and %d not, in %d parts, the first of %d", len(asked), r.NotAsked, len(r.Parts), r.Parts[0].Clusters)
	}
	told, left := 0, 0
	for _, p := range r.Parts {
		told, left = told+len(p.Result.Objects), left+int(p.Result.MoreObjects)
	}
	if size := proto.Size(r); size > 1<<20+100<<10 || told == 0 || told+left != 5000 {
		t.Errorf("%d objects are told and %d not, in %d bytes", told, left, size)
	}

	// Those that do not answer hold two callers up, for as long as they have asked for; a third is told to come later, and others publish.
	begun := make(chan struct{}, 200)
	f.answer = func(ctx context.Context, _ *yardarmv1.AssignmentSpec, _ string) *yardarmv1.TrialResult {
		begun <- struct{}{}
		<-ctx.Done()
		return &yardarmv1.TrialResult{Reason: yardarmv1.TrialNotAnswered}
	}
	results := make(chan string, 2)
	for range 2 {
		go func() {
			r, err := send()
			results <- fmt.Sprint(len(r.GetTrial().GetParts()), err)
		}()
	}
	for range 100 {
		<-begun
	}
	_, err := send()
	refused(t, err, codes.ResourceExhausted, "trials")
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "other", Groups: []string{"prod"}}, apitest.ConfigMap("", "other", `"1"`)))
	for range 2 {
		if got := <-results; got != "2 <nil>" {
			t.Errorf("got %s", got)
		}
	}
}
