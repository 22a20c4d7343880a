package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestTokenIsSentWithEachCall(t *testing.T) {
	var got atomic.Value
	c := start(t, &fakeHub{getBundle: func(ctx context.Context, _ *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
		got.Store(authorization(ctx))
		return &yardarmv1.Bundle{}, nil
	}}, nil)
	if _, err := c.GetBundle(testContext(t), &hubv1.GetBundleRequest{}); err != nil {
		t.Fatal(err)
	}
	if got.Load() != "Bearer yat_secret" {
		t.Errorf("authorization is %q", got.Load())
	}
}

func TestUnknownCAIsRefused(t *testing.T) {
	_, other := selfSigned(t)
	c := start(t, &fakeHub{}, func(cfg *Config) { cfg.TLS.RootCAs = other })
	_, err := c.GetBundle(testContext(t), &hubv1.GetBundleRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want a failed handshake", err)
	}
}

func TestReadsAreRetriedAndWritesAreNot(t *testing.T) {
	var reads, writes atomic.Int32
	c := start(t, &fakeHub{
		getBundle: func(context.Context, *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
			if reads.Add(1) < 3 {
				return nil, status.Error(codes.Unavailable, "stopping")
			}
			return &yardarmv1.Bundle{}, nil
		},
		apply: func(*hubv1.ApplyRequest) (*hubv1.ApplyResponse, error) {
			writes.Add(1)
			return nil, status.Error(codes.Unavailable, "stopping")
		},
	}, nil)
	if _, err := c.GetBundle(testContext(t), &hubv1.GetBundleRequest{}); err != nil || reads.Load() != 3 {
		t.Errorf("read: %v after %d calls, want success after 3", err, reads.Load())
	}
	if _, err := c.Apply(testContext(t), &hubv1.ApplyRequest{}); status.Code(err) != codes.Unavailable || writes.Load() != 1 {
		t.Errorf("write: %v after %d calls, want Unavailable after 1", err, writes.Load())
	}
}

func TestCallsAreBounded(t *testing.T) {
	c := start(t, &fakeHub{getBundle: func(ctx context.Context, _ *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, func(cfg *Config) { cfg.RequestTimeout = 50 * time.Millisecond })
	if _, err := c.GetBundle(testContext(t), &hubv1.GetBundleRequest{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
}

func TestNewRefusesBadAddresses(t *testing.T) {
	for _, server := range []string{"", "hub", "hub:", ":443", "https://hub:443/path", "http://hub:443"} {
		if c, err := New(Config{Server: server}); err == nil {
			_ = c.Close()
			t.Errorf("%q is taken", server)
		}
	}
	if _, err := New(Config{}); !errors.Is(err, ErrNoServer) {
		t.Errorf("no address: %v", err)
	}
	c, err := New(Config{Server: "https://hub.example.com:443/"})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestFromContext(t *testing.T) {
	cfg, err := FromContext(clientconfig.Context{Name: "a", Server: "https://hub.example.com", Token: "yat_x"})
	if err != nil || cfg.Server != "hub.example.com:443" || cfg.Token != "yat_x" || cfg.TLS == nil {
		t.Errorf("got %+v, %v", cfg.Server, err)
	}
	for _, bad := range []clientconfig.Context{{Name: "a", Server: "ftp://hub"}, {Name: "a", Server: "https://hub", CA: "none"}} {
		if _, err := FromContext(bad); err == nil || !strings.Contains(err.Error(), `context "a"`) {
			t.Errorf("%v: got %v, want an error that names the context", bad, err)
		}
	}
}

func TestListsPage(t *testing.T) {
	var asked []*hubv1.ListClustersRequest
	pages := map[string]*hubv1.ListClustersResponse{
		"":  {Clusters: []*yardarmv1.Cluster{cluster("a", ""), cluster("b", "")}, NextPageToken: "2"},
		"2": {NextPageToken: "3"}, // a page may be empty
		"3": {Clusters: []*yardarmv1.Cluster{cluster("c", "")}},
	}
	c := start(t, &fakeHub{listClusters: func(req *hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error) {
		asked = append(asked, req)
		return pages[req.GetPageToken()], nil
	}}, nil)
	req := &hubv1.ListClustersRequest{Selector: "env=prod", Group: "prod"}
	var names []string
	for got, err := range c.Clusters(testContext(t), req) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, got.GetMetadata().GetName())
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("got %v", names)
	}
	for i, want := range []string{"", "2", "3"} {
		if got := asked[i]; got.GetPageToken() != want || got.GetPageSize() != PageSize || got.GetSelector() != "env=prod" || got.GetGroup() != "prod" {
			t.Errorf("request %d is %v", i, got)
		}
	}
	if req.GetPageToken() != "" || req.GetPageSize() != 0 {
		t.Errorf("the caller's request was changed: %v", req)
	}

	asked = nil
	for range c.Clusters(testContext(t), req) {
		break
	}
	if len(asked) != 1 {
		t.Errorf("%d pages were asked for one item", len(asked))
	}
}

func TestListEndsWithTheFirstError(t *testing.T) {
	c := start(t, &fakeHub{listClusters: func(req *hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error) {
		if req.GetPageToken() != "" {
			return nil, status.Error(codes.InvalidArgument, "bad token")
		}
		return &hubv1.ListClustersResponse{Clusters: []*yardarmv1.Cluster{cluster("a", "")}, NextPageToken: "2"}, nil
	}}, nil)
	var names, errs int
	for _, err := range c.Clusters(testContext(t), nil) {
		if err != nil {
			errs++
		} else {
			names++
		}
	}
	if names != 1 || errs != 1 {
		t.Errorf("got %d items and %d errors, want 1 and 1", names, errs)
	}
}
