package client

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

type previewStream = grpc.ServerStreamingServer[hubv1.PreviewAssignmentResponse]

func previewOf(p *hubv1.Preview) *hubv1.PreviewAssignmentResponse {
	return &hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Preview{Preview: p}}
}

func previewData(data string) *hubv1.PreviewAssignmentResponse {
	return &hubv1.PreviewAssignmentResponse{Message: &hubv1.PreviewAssignmentResponse_Data{Data: []byte(data)}}
}

func TestPreviewIsChecked(t *testing.T) {
	const line = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n"
	digest := manifest.DigestOf([]byte(line)).String()
	size := uint64(len(line))
	for _, tc := range []struct {
		name string
		sent []*hubv1.PreviewAssignmentResponse
		want error // nil where it is whole
	}{
		{"whole", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: digest, Size: size}), previewData(line[:7]), previewData(line[7:])}, nil},
		{"cut", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: digest, Size: size})}, ErrGarbled},
		{"cut in a line", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: digest, Size: size}), previewData(line[:7])}, ErrGarbled},
		{"another digest", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: "sha256:0", Size: size}), previewData(line)}, ErrGarbled},
		{"more than it says", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: digest, Size: 7}), previewData(line)}, ErrGarbled},
		{"only data", []*hubv1.PreviewAssignmentResponse{previewData(line)}, ErrGarbled},
		{"too large", []*hubv1.PreviewAssignmentResponse{previewOf(&hubv1.Preview{RenderedDigest: digest, Size: maxPreview + 1})}, errTooMuch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t, &fakeHub{preview: func(s previewStream) error {
				for _, message := range tc.sent {
					if err := s.Send(message); err != nil {
						return err
					}
				}
				return nil
			}}, nil)
			p, set, err := c.Preview(testContext(t), &hubv1.PreviewAssignmentRequest{})
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err == nil && (p.GetSize() != size || set.Len() != 1) {
				t.Errorf("got %v with %d objects", p, set.Len())
			}
		})
	}
}

func TestPreviewStalls(t *testing.T) {
	c := start(t, &fakeHub{preview: func(s previewStream) error {
		if err := s.Send(previewOf(&hubv1.Preview{Size: 1})); err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}}, func(cfg *Config) { cfg.RequestTimeout = 100 * time.Millisecond })
	if _, _, err := c.Preview(testContext(t), &hubv1.PreviewAssignmentRequest{}); !errors.Is(err, ErrStalled) {
		t.Errorf("got %v, want ErrStalled", err)
	}
}
