package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/query"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestErrorsBecomeStatuses(t *testing.T) {
	for name, tc := range map[string]struct {
		err       error
		code      codes.Code
		word      string
		forCaller bool
	}{
		"disk full":     {fmt.Errorf("x: %w", &store.DiskFullError{Dir: "/data", Err: errors.New("no space")}), codes.FailedPrecondition, "free some space", true},
		"disk failed":   {&store.FailedError{Dir: "/data", Err: errors.New("io")}, codes.Unavailable, "check the disk", false},
		"closed":        {fmt.Errorf("x: %w", store.ErrClosed), codes.Unavailable, "try again", true},
		"cancelled":     {fmt.Errorf("x: %w", context.Canceled), codes.Canceled, "", true},
		"of gRPC":       {status.Error(codes.ResourceExhausted, "message too large"), codes.ResourceExhausted, "too large", true},
		"anything else": {errors.New("secret"), codes.Internal, "request 7", false},
	} {
		t.Run(name, func(t *testing.T) {
			st, forCaller := toStatus(tc.err, "7")
			if st.Code() != tc.code || forCaller != tc.forCaller || !strings.Contains(st.Message(), tc.word) || strings.Contains(st.Message(), "secret") {
				t.Errorf("got %v, for the caller %v", st, forCaller)
			}
		})
	}
}

func TestViolationsAreBounded(t *testing.T) {
	var v violations
	for i := range maxViolations + 5 {
		v.add("", fmt.Sprint(i), "is wrong")
	}
	st, _ := toStatus(v.err(), "")
	if len(v.fields) != maxViolations || !strings.HasSuffix(st.Message(), "and 5 more") {
		t.Errorf("%d violations, message ends in %q", len(v.fields), st.Message()[len(st.Message())-20:])
	}
}

func TestPagesEndEarlyWhenItemsAreLarge(t *testing.T) {
	large := strings.Repeat("x", maxPageBytes/4)
	schema := &query.Schema[int]{Name: func(i int) string { return fmt.Sprint(i) }}
	all := func(add func(int)) {
		for i := range 10 {
			add(i)
		}
	}
	build := func(int) *yardarmv1.Cluster {
		return &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Annotations: map[string]string{"a": large}}}
	}
	seen, token := 0, ""
	for range 10 {
		p, err := paginate(listRequest{size: 10, token: token, list: "test"}, schema, all, build)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.items) > 4 || p.total != 10 {
			t.Fatalf("a page of %d items of %d", len(p.items), p.total)
		}
		seen += len(p.items)
		if token = p.next; token == "" {
			break
		}
	}
	if seen != 10 {
		t.Errorf("%d items on all pages", seen)
	}
}
