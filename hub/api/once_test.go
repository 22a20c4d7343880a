package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// keyed is a call with an idempotency key.
func keyed(ctx context.Context, key string) context.Context {
	return apitest.WithHeader(ctx, "idempotency-key", key)
}

// TestEveryChangeIsDoneOnce makes every call that changes something twice under one key: it is done once, and answered the same, secrets included.
func TestEveryChangeIsDoneOnce(t *testing.T) {
	for _, name := range changing() {
		t.Run(name, func(t *testing.T) {
			h := changeableFleet(t)
			call := changesOf(h, false, "")[name]
			if call == nil {
				t.Fatal("nobody tries it")
			}
			first := must[proto.Message](t)(call(keyed(t.Context(), "k1")))
			index, entries := h.Store.Read().Index(), len(h.Audited(t))
			again := must[proto.Message](t)(call(keyed(t.Context(), "k1")))
			if !proto.Equal(first, again) {
				t.Errorf("answered\n%v\nand then\n%v", prototext.Format(first), prototext.Format(again))
			}
			if after := h.Store.Read().Index(); after != index || len(h.Audited(t)) != entries {
				t.Errorf("the second call has taken the store from %d to %d", index, after)
			}
		})
	}
}

func TestIdempotencyKeys(t *testing.T) {
	now := time.Now()
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Clock = func() time.Time { return now } })
	label := func(ctx context.Context, value string, dryRun bool) (*yardarmv1.Cluster, error) {
		return h.LabelCluster(ctx, &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"a": value}, Overwrite: true, DryRun: dryRun})
	}
	h.Enrolled(t, "berlin", nil)
	must[any](t)(label(keyed(t.Context(), "k"), "1", true)) // a dry run takes no key
	first := must[*yardarmv1.Cluster](t)(label(keyed(t.Context(), `"k"`), "1", false))

	_, err := label(keyed(t.Context(), "k"), "2", false)
	if st := refused(t, err, codes.InvalidArgument, "another request"); reason(st) != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("reason %q", reason(st))
	}
	_, err = h.BanCluster(keyed(t.Context(), "k"), &hubv1.BanClusterRequest{Name: "berlin"})
	refused(t, err, codes.InvalidArgument, "another request")

	// What became of it since does not change what was answered.
	must[any](t)(label(t.Context(), "3", false))
	if again := must[*yardarmv1.Cluster](t)(label(keyed(t.Context(), "k"), "1", false)); again.Metadata.Labels["a"] != "1" || again.Metadata.ResourceVersion != first.Metadata.ResourceVersion {
		t.Errorf("answered %v", again)
	}
	// Another's key is another key.
	other := h.As(t, h.Issue(t, "ci", now.Add(time.Hour)))
	bind(t, h, "ci", "admin", nil, nil)
	if c := must[*yardarmv1.Cluster](t)(other.LabelCluster(keyed(t.Context(), "k"), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"a": "4"}, Overwrite: true})); c.Metadata.Labels["a"] != "4" {
		t.Errorf("answered %v", c)
	}

	for _, key := range []string{"", `"`, `""`, `"open`, `a"b`, strings.Repeat("k", 129)} {
		_, err := label(keyed(t.Context(), key), "1", false)
		refused(t, err, codes.InvalidArgument, "Idempotency-Key")
	}
	_, err = label(keyed(keyed(t.Context(), "a"), "b"), "1", false)
	refused(t, err, codes.InvalidArgument, "Idempotency-Key")

	now = now.Add(24 * time.Hour)
	if again := must[*yardarmv1.Cluster](t)(label(keyed(t.Context(), "k"), "1", false)); again.Metadata.ResourceVersion == first.Metadata.ResourceVersion {
		t.Error("an answer was kept for more than its life")
	}
	kept := 0
	for range h.Store.Read().Answers() {
		kept++
	}
	if kept != 1 {
		t.Errorf("%d answers are kept, and one has not ended", kept)
	}
}

// TestRotationIsDoneOnce has a step of a rotation, made again under its key, answered as before: also when it could not be made any more, nor is what it answers true.
func TestRotationIsDoneOnce(t *testing.T) {
	h := apitest.Start(t)
	rotate := func(key string) (*hubv1.Authority, error) {
		return h.RotateAuthority(keyed(t.Context(), key), &hubv1.RotateAuthorityRequest{})
	}
	retire := func(key string) (*hubv1.Authority, error) {
		return h.RetireAuthority(keyed(t.Context(), key), &hubv1.RetireAuthorityRequest{})
	}
	events := func() (n int) {
		for range h.Store.Read().Events(0) {
			n++
		}
		return n
	}
	_, err := retire("a")
	refused(t, err, codes.FailedPrecondition, "rotate it first")
	before := events()
	rotated := must[*hubv1.Authority](t)(rotate("b"))
	if now := must[*hubv1.Authority](t)(h.GetAuthority(t.Context(), &hubv1.GetAuthorityRequest{})); len(rotated.Roots) != 2 || !proto.Equal(rotated, now) {
		t.Errorf("it answers %v, and then there is %v", rotated, now)
	}
	_, err = rotate("c")
	refused(t, err, codes.FailedPrecondition, "rotated already")
	if again := must[*hubv1.Authority](t)(rotate("b")); !proto.Equal(again, rotated) {
		t.Errorf("made again it answers %v", again)
	}
	retired := must[*hubv1.Authority](t)(retire("a")) // a refusal is not kept
	for key, want := range map[string]*hubv1.Authority{"a": retired, "b": rotated} {
		call := map[string]func(string) (*hubv1.Authority, error){"a": retire, "b": rotate}[key]
		if again := must[*hubv1.Authority](t)(call(key)); !proto.Equal(again, want) {
			t.Errorf("made again it answers %v", again)
		}
	}
	if roots := h.CA.Standing().Roots; len(roots) != 1 || len(retired.Roots) != 1 || certs.PinOf(roots[0]).String() != rotated.Roots[0].Pin {
		t.Errorf("it has come to %d CAs", len(roots))
	}
	if n := events() - before; n != 2 {
		t.Errorf("%d events tell of two steps", n)
	}
}

// TestOneKeyAtOnce makes one call many times at the same moment.
func TestOneKeyAtOnce(t *testing.T) {
	h := apitest.Start(t)
	var group sync.WaitGroup
	secrets := make([]string, 20)
	for i := range secrets {
		group.Go(func() {
			resp, err := h.CreateToken(keyed(t.Context(), "k"), &hubv1.CreateTokenRequest{Name: "ci"})
			if err != nil {
				t.Error(err)
			}
			secrets[i] = resp.GetSecret()
		})
	}
	group.Wait()
	for _, secret := range secrets {
		if secret == "" || secret != secrets[0] {
			t.Fatal("one call was answered with two secrets")
		}
	}
	for a := range h.Store.Read().Answers() {
		if text, _ := proto.Marshal(a); strings.Contains(string(text), secrets[0]) {
			t.Error("a secret is kept in plain text")
		}
	}
}

// TestAnswersAreBounded keeps the newest of each identity, and none that is too large.
func TestAnswersAreBounded(t *testing.T) {
	now := time.Now()
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Clock = func() time.Time { return now } })
	h.Enrolled(t, "berlin", nil)
	for i := range 300 {
		now = now.Add(time.Second)
		must[any](t)(h.BanCluster(keyed(t.Context(), fmt.Sprint(i)), &hubv1.BanClusterRequest{Name: "berlin"}))
	}
	kept, oldest := 0, time.Time{}
	for a := range h.Store.Read().Answers() {
		if kept++; oldest.IsZero() {
			oldest = a.Expires.AsTime()
		}
	}
	if kept != 256 || oldest.Before(now.Add(24*time.Hour-256*time.Second)) {
		t.Errorf("%d answers are kept, and the oldest goes at %v", kept, oldest)
	}
	var many []*hubv1.Resource
	for i := range 1000 {
		g := group(fmt.Sprintf("group-%d", i), "env=prod")
		g.GetClusterGroup().Metadata.Annotations = map[string]string{"note": strings.Repeat("x", 300)}
		many = append(many, g)
	}
	before := h.Store.Read().Index()
	_, err := h.Apply(keyed(t.Context(), "large"), &hubv1.ApplyRequest{Resources: many})
	refused(t, err, codes.InvalidArgument, "Idempotency-Key", "change less at once")
	if h.Store.Read().Index() != before {
		t.Error("a refused change was made")
	}
}

// TestIdempotencyKeyOverREST has the header mean the same.
func TestIdempotencyKeyOverREST(t *testing.T) {
	h := apitest.Start(t)
	post := func(body string) (int, string) {
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+restRoutes(t)["CreateToken"].path, strings.NewReader(body)))
		req.Header.Set("Authorization", "Bearer "+h.Token)
		req.Header.Set("Idempotency-Key", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`)
		resp := must[*http.Response](t)(h.HTTP.Do(req))
		defer resp.Body.Close()
		return resp.StatusCode, string(must[[]byte](t)(io.ReadAll(resp.Body)))
	}
	code, first := post(`{"name": "ci"}`)
	again, second := post(`{"name": "ci"}`)
	if code != http.StatusOK || again != http.StatusOK || strings.ReplaceAll(first, " ", "") != strings.ReplaceAll(second, " ", "") {
		t.Errorf("answered %d %s, then %d %s", code, first, again, second)
	}
	if code, body := post(`{"name": "other"}`); code != http.StatusBadRequest || !strings.Contains(body, "IDEMPOTENCY_KEY_REUSED") {
		t.Errorf("another request: %d %s", code, body)
	}
}
