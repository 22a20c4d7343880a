package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// publishLarge publishes bundle web to cluster berlin, 2.7 MB that compress well, and answers its digest. That is more than fits between the hub and a caller that
// takes nothing.
func publishLarge(t *testing.T, h *apitest.Hub) string {
	t.Helper()
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	var files []manifest.File
	for i := range 3 {
		files = append(files, apitest.ConfigMap("", "web-"+number(i), strings.Repeat("x", 900_000)))
	}
	return must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}, files...)).Revision.Spec.Digest
}

// download reads an artifact whole.
func download(t *testing.T, h *apitest.Hub, digest string) error {
	t.Helper()
	stream := must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(t.Context(), &hubv1.GetArtifactRequest{Digest: digest}))
	_, err := drain(stream)
	return err
}

// Whoever takes an artifact or a preview slowly holds it in the hub's memory. All of them together are bounded, whichever call it is; those for which there is
// no room wait, and are told when to come back.
func TestDownloadsAreBounded(t *testing.T) {
	for _, tc := range []struct {
		name              string
		downloads         int
		previews          int
		slow              string // which call
		download, preview bool   // whether another one is let in meanwhile
	}{
		{"an artifact takes all room", 4 << 20, 2, "artifact", false, false},
		{"a preview takes all room", 4 << 20, 2, "preview", false, false},
		// Once it is made, a preview holds its 2.7 MB of text. An artifact holds those and its compressed form while it is unpacked.
		{"there is room for another artifact", 6 << 20, 2, "preview", true, false},
		{"there is room for all", 1 << 30, 1, "artifact", true, true},
		{"there is no place for a preview", 1 << 30, 1, "preview", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
				c.Limits.Downloads, c.Limits.Previews, c.Limits.CallTimeout = tc.downloads, tc.previews, 4*time.Second
			})
			digest := publishLarge(t, h)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if tc.slow == "artifact" {
				must[any](t)(must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(ctx, &hubv1.GetArtifactRequest{Digest: digest})).Recv())
			} else {
				must[any](t)(must[hubv1.FleetService_PreviewAssignmentClient](t)(h.PreviewAssignment(ctx, &hubv1.PreviewAssignmentRequest{Cluster: "berlin", Bundle: "web"})).Recv())
			}
			previewed := func() error { _, _, err := preview(t, h, "berlin", "web"); return err }
			calls := map[string]struct {
				call func() error
				ok   bool
			}{
				"downloads": {func() error { return download(t, h, digest) }, tc.download},
				"previews":  {previewed, tc.preview},
			}
			for name, c := range calls {
				err := c.call()
				if c.ok {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if st := refused(t, err, codes.ResourceExhausted, "too many "+name, "try again"); reason(st) != "BUSY" || !hasRetry(st) {
					t.Errorf("%s: reason %q, details %v", name, reason(st), st.Details())
				}
			}
			leave()
			for name, c := range calls {
				for end := time.Now().Add(time.Minute); ; {
					err := c.call()
					if err == nil {
						break
					}
					if status.Code(err) != codes.ResourceExhausted || time.Now().After(end) {
						t.Fatalf("%s: the room is not given back: %v", name, err)
					}
				}
			}
		})
	}
}

// A caller that waits is let in as soon as there is room.
func TestDownloadsWait(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.Downloads, c.Limits.CallTimeout = 1, time.Minute })
	digest := publishLarge(t, h)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	must[any](t)(must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(ctx, &hubv1.GetArtifactRequest{Digest: digest})).Recv())
	waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	stream := must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(waiting, &hubv1.GetArtifactRequest{Digest: digest}))
	if _, err := stream.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a caller that does not wait long gets %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- download(t, h, digest) }()
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func hasRetry(st *status.Status) bool {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return true
		}
	}
	return false
}
