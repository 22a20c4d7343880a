package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// listAudit reads page after page, and counts them.
func listAudit(t *testing.T, h *apitest.Hub, req *hubv1.ListAuditRequest) (entries []*hubv1.AuditEntry, pages int) {
	t.Helper()
	for {
		resp := must[*hubv1.ListAuditResponse](t)(h.ListAudit(t.Context(), req))
		entries = append(entries, resp.Entries...)
		pages++
		if resp.NextPageToken == "" {
			return entries, pages
		}
		req.PageToken = resp.NextPageToken
	}
}

// TestListAuditFilters asks for what people ask for.
func TestListAuditFilters(t *testing.T) {
	h := smallFleet(t)
	ci := h.As(t, must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "ci", Role: "publisher"})).Secret)
	must[any](t)((&apitest.Hub{FleetServiceClient: ci}).Publish(apitest.WithHeader(t.Context(), "x-request-id", "of-ci"), &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("", "web", "9")))
	must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "oslo"}))
	must[any](t)(h.Reconcile(t.Context(), &hubv1.ReconcileRequest{Cluster: "berlin", Bundle: "web"}))
	for filter, want := range map[string]string{
		"actor=token/ci":                       "PublishRevision",
		"action=Ban*":                          "BanCluster",
		"request=of-ci":                        "PublishRevision",
		"kind=Cluster,name=oslo":               "BanCluster EnrollCluster",
		"kind=Reconciliation":                  "Reconcile",
		"name=berlin.web":                      "Reconcile",
		"kind=Token,actor!=hub":                "CreateToken",
		"kind=RoleBinding,actor!=token/ci":     "CreateToken",
		"address=192.0.2.1":                    "",
		"actor=local-admin,action=CreateToken": "CreateToken",
	} {
		entries, _ := listAudit(t, h, &hubv1.ListAuditRequest{Filter: filter})
		var actions []string
		for _, e := range entries {
			actions = append(actions, e.Action)
		}
		if got := strings.Join(actions, " "); got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	banned, _ := listAudit(t, h, &hubv1.ListAuditRequest{Filter: "action=BanCluster"})
	if len(banned) != 1 || len(banned[0].Changes) == 0 {
		t.Fatalf("the ban is %v", banned)
	}
	if c := banned[0].Changes[0]; c.Kind != "Cluster" || c.Name != "oslo" || c.Outcome != "configured" || !strings.HasPrefix(c.Before, "hmac-sha256:") || c.Before == c.After {
		t.Errorf("the ban's change is %v", c)
	}
	for _, req := range []*hubv1.ListAuditRequest{{Filter: "kind=Pod"}, {Filter: "time=1"}, {PageSize: 5000}, {PageToken: "nonsense"}} {
		if _, err := h.ListAudit(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", req, err)
		}
	}
}

// TestListAuditPages reads a log by pages that others write to meanwhile, over gRPC and REST, and by time.
func TestListAuditPages(t *testing.T) {
	h := smallFleet(t)
	label := func(i int) {
		must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "oslo", Set: map[string]string{"i": fmt.Sprint(i)}, Overwrite: true}))
	}
	for i := range 10 {
		label(i)
	}
	first := must[*hubv1.ListAuditResponse](t)(h.ListAudit(t.Context(), &hubv1.ListAuditRequest{PageSize: 3}))
	label(10)
	rest, _ := listAudit(t, h, &hubv1.ListAuditRequest{PageSize: 3, PageToken: first.NextPageToken})
	for i, e := range append(first.Entries, rest...) {
		if e.Sequence != first.Newest-uint64(i) {
			t.Fatalf("entry %d of the pages is %d, and the newest was %d", i, e.Sequence, first.Newest)
		}
	}
	if got := len(first.Entries) + len(rest); uint64(got) != first.Newest-first.Oldest+1 {
		t.Errorf("%d entries are in the pages of %d to %d", got, first.Oldest, first.Newest)
	}
	fresh := must[*hubv1.ListAuditResponse](t)(h.ListAudit(t.Context(), &hubv1.ListAuditRequest{After: first.Newest}))
	if len(fresh.Entries) != 1 || fresh.Entries[0].Sequence != first.Newest+1 || fresh.NextPageToken != "" {
		t.Errorf("what is new: %v", fresh)
	}
	var over struct {
		Entries []struct{ Sequence, Action string }
		Newest  string
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/v1/audit?page_size=1&filter=name%3Doslo&since="+first.Entries[0].Time.AsTime().Format(time.RFC3339Nano), nil))
	req.Header.Set("Authorization", "Bearer "+h.Token)
	resp := must[*http.Response](t)(h.HTTP.Do(req))
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&over); err != nil || len(over.Entries) != 1 || over.Entries[0].Action != "LabelCluster" || over.Entries[0].Sequence != over.Newest {
		t.Errorf("over REST: %v, %v", over, err)
	}
	middle := rest[3]
	from, _ := listAudit(t, h, &hubv1.ListAuditRequest{Since: middle.Time})
	until, _ := listAudit(t, h, &hubv1.ListAuditRequest{Until: middle.Time})
	if n := len(from) + len(until); uint64(n) != fresh.Newest-fresh.Oldest+1 {
		t.Errorf("%d entries are before or after a time, of %d", n, fresh.Newest)
	}
	if from[len(from)-1].Sequence != middle.Sequence || until[0].Sequence != middle.Sequence-1 {
		t.Errorf("entry %d divides into %d and %d", middle.Sequence, from[len(from)-1].Sequence, until[0].Sequence)
	}
	if none, _ := listAudit(t, h, &hubv1.ListAuditRequest{Since: timestamppb.New(time.Now().Add(24 * time.Hour))}); len(none) > 0 {
		t.Errorf("the future holds %v", none)
	}
}

// TestListAuditIsBounded asks a long log for what is not in it: each call looks through a part, and the client goes on.
func TestListAuditIsBounded(t *testing.T) {
	h := apitest.Start(t)
	const entries, writers = 20_480, 256
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range entries / writers {
				if _, err := h.Store.Update(t.Context(), func(tx *store.Tx) error {
					return tx.PutToken(&storev1.EnrolmentToken{Id: fmt.Sprint("t", w), Cluster: fmt.Sprint(i)})
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	none, pages := listAudit(t, h, &hubv1.ListAuditRequest{Filter: "actor=nobody"})
	if len(none) > 0 || pages != 2 {
		t.Errorf("%d entries on %d pages", len(none), pages)
	}
}
