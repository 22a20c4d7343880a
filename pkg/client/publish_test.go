package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

type publishStream = grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]

func TestPublishSendsChunks(t *testing.T) {
	var received []string
	contents := make(map[string][]byte)
	c := start(t, &fakeHub{publish: func(s publishStream) error {
		for {
			req, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return s.SendAndClose(&hubv1.PublishRevisionResponse{Outcome: "published"})
			}
			if err != nil {
				return err
			}
			if p := req.GetPublication(); p != nil {
				received = append(received, "publication of "+p.GetBundle())
				continue
			}
			received = append(received, fmt.Sprintf("%s %d", req.GetFile().GetPath(), len(req.GetFile().GetData())))
			contents[req.GetFile().GetPath()] = append(contents[req.GetFile().GetPath()], req.GetFile().GetData()...)
		}
	}}, nil)
	large := bytes.Repeat([]byte("0123456789abcdef"), 40_000) // 640,000 bytes
	files := []manifest.File{{Path: "a.yaml", Data: large}, {Path: "empty.yaml"}, {Path: "z.yaml", Data: []byte("z")}}
	var progress [][2]int
	resp, err := c.Publish(testContext(t), &hubv1.Publication{Bundle: "web"}, files, func(sent, total int) { progress = append(progress, [2]int{sent, total}) })
	if err != nil || resp.GetOutcome() != "published" {
		t.Fatalf("got %v, %v", resp, err)
	}
	want := []string{"publication of web", "a.yaml 262144", "a.yaml 262144", "a.yaml 115712", "empty.yaml 0", "z.yaml 1"}
	if !slices.Equal(received, want) {
		t.Errorf("received %q, want %q", received, want)
	}
	if !bytes.Equal(contents["a.yaml"], large) {
		t.Error("a.yaml arrived changed")
	}
	if wantLast := [2]int{640_001, 640_001}; len(progress) != 5 || progress[0] != [2]int{262_144, 640_001} || progress[4] != wantLast {
		t.Errorf("progress was %v", progress)
	}
}

// The hub may refuse before it has read everything. Then sending ends with io.EOF, and the reason is in the answer.
func TestPublishReturnsAnEarlyRefusal(t *testing.T) {
	c := start(t, &fakeHub{publish: func(s publishStream) error {
		if _, err := s.Recv(); err != nil {
			return err
		}
		return status.Error(codes.InvalidArgument, "no such group")
	}}, nil)
	files := []manifest.File{{Path: "a.yaml", Data: make([]byte, 8<<20)}}
	_, err := c.Publish(testContext(t), &hubv1.Publication{Bundle: "web"}, files, nil)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want InvalidArgument", err)
	}
}

func TestPublishGivesUpOnAHubThatStandsStill(t *testing.T) {
	c := start(t, &fakeHub{publish: func(s publishStream) error {
		<-s.Context().Done()
		return s.Context().Err()
	}}, func(cfg *Config) { cfg.RequestTimeout = 100 * time.Millisecond })
	files := []manifest.File{{Path: "a.yaml", Data: make([]byte, 8<<20)}}
	_, err := c.Publish(testContext(t), &hubv1.Publication{Bundle: "web"}, files, nil)
	if !errors.Is(err, ErrStalled) {
		t.Errorf("got %v, want ErrStalled", err)
	}
}

// TestPublishIsSentAgain loses the hub in the middle of an upload, and then its answer: all is sent again, under the same idempotency key.
func TestPublishIsSentAgain(t *testing.T) {
	var keys []string
	c := start(t, &fakeHub{publish: func(s publishStream) error {
		md, _ := metadata.FromIncomingContext(s.Context())
		keys = append(keys, md.Get("idempotency-key")...)
		for received := 0; ; received++ {
			_, err := s.Recv()
			switch {
			case errors.Is(err, io.EOF) && len(keys) == 3:
				return s.SendAndClose(&hubv1.PublishRevisionResponse{Outcome: "published"})
			case errors.Is(err, io.EOF), len(keys) == 1 && received == 1:
				return status.Error(codes.Unavailable, "the hub is stopping; try again")
			case err != nil:
				return err
			}
		}
	}}, nil)
	files := []manifest.File{{Path: "a.yaml", Data: []byte("a")}, {Path: "b.yaml", Data: []byte("b")}}
	resp, err := c.Publish(testContext(t), &hubv1.Publication{Bundle: "web"}, files, nil)
	if err != nil || resp.GetOutcome() != "published" {
		t.Fatalf("got %v, %v", resp, err)
	}
	if len(keys) != 3 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("the keys were %q", keys)
	}
}

func TestPublishGivesUp(t *testing.T) {
	tries := 0
	c := start(t, &fakeHub{publish: func(publishStream) error {
		tries++
		return status.Error(codes.Unavailable, "the hub is stopping; try again")
	}}, nil)
	if _, err := c.Publish(testContext(t), &hubv1.Publication{Bundle: "web"}, nil, nil); status.Code(err) != codes.Unavailable || tries != publishTries {
		t.Errorf("%v after %d tries", err, tries)
	}
}
