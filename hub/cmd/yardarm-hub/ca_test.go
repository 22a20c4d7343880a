package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// TestRotationIsDoneOnce makes each step of a rotation again under its idempotency key, with the hub restarted in between: as a caller does whose answer was lost with the hub.
func TestRotationIsDoneOnce(t *testing.T) {
	data, ip := t.TempDir(), address(5)
	run := func(key string, step func(*client.Client, context.Context) (*hubv1.Authority, error)) (answer *hubv1.Authority) {
		t.Helper()
		t.Run(key, func(t *testing.T) {
			defer http.DefaultClient.CloseIdleConnections()
			serve(t, ip, "run", "--data-dir", data, "--address", ip, "--log-level", "error")
			var err error
			if answer, err = authority(metadata.AppendToOutgoingContext(t.Context(), "idempotency-key", key), data, "", step); err != nil {
				t.Fatal(err)
			}
		})
		return answer
	}
	rotate := func(hub *client.Client, ctx context.Context) (*hubv1.Authority, error) {
		return hub.RotateAuthority(ctx, &hubv1.RotateAuthorityRequest{})
	}
	retire := func(hub *client.Client, ctx context.Context) (*hubv1.Authority, error) {
		answer, err := hub.RetireAuthority(ctx, &hubv1.RetireAuthorityRequest{})
		if _, other := hub.RetireAuthority(context.WithoutCancel(t.Context()), &hubv1.RetireAuthorityRequest{}); !strings.Contains(client.Said(other), "rotate it first") {
			err = errors.Join(err, errors.New("it is retired, and without a key that is no error"))
		}
		return answer, err
	}
	rotated := run("one", rotate)
	if again := run("one", rotate); len(rotated.GetRoots()) != 2 || !proto.Equal(rotated, again) {
		t.Errorf("after a restart it answers with %d CAs, and before with %d", len(again.GetRoots()), len(rotated.GetRoots()))
	}
	retired := run("two", retire)
	if again := run("two", retire); len(retired.GetRoots()) != 1 || !proto.Equal(retired, again) || retired.Roots[0].Pin != rotated.Roots[0].Pin {
		t.Errorf("after a restart it answers with %d CAs, and before with %d", len(again.GetRoots()), len(retired.GetRoots()))
	}
}
