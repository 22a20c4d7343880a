package api_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var update = flag.Bool("update", false, "write the golden file anew")

var builtInRoles = []string{"viewer", "publisher", "operator", "approver", "admin"}

// TestEveryMethodAsEveryRole calls every method of the service, over gRPC and REST, as each of the roles that every hub has, and as a token without
// any. Who is let in is in the golden file, to be read when it changes; a method that is not in it fails.
func TestEveryMethodAsEveryRole(t *testing.T) {
	h := apitest.Start(t)
	tokens := map[string]string{"(nobody)": h.Issue(t, "nobody", time.Time{})}
	for _, role := range builtInRoles {
		tokens[role] = h.Issue(t, role, time.Time{})
		bind(t, h, role, role, nil, nil)
	}
	routes := restRoutes(t)
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s", "")
	roles := append([]string{"(nobody)"}, builtInRoles...)
	for _, role := range roles {
		fmt.Fprintf(&b, "%-11s", role)
	}
	methods := hubv1.File_yardarm_hub_v1_fleet_proto.Services().ByName("FleetService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		fmt.Fprintf(&b, "\n%-20s", m.Name())
		for _, role := range roles {
			over := map[string]bool{"gRPC": grpcLetsIn(t, h, tokens[role], m), "REST": restLetsIn(t, h, tokens[role], routes[string(m.Name())])}
			if over["gRPC"] != over["REST"] {
				t.Errorf("%s as %s: %v", m.Name(), role, over)
			}
			answer := "-"
			if over["gRPC"] {
				answer = "yes"
			}
			fmt.Fprintf(&b, "%-11s", answer)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	got := strings.Join(lines, "\n") + "\n"
	golden := filepath.Join("testdata", "access.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || got != string(want) {
		t.Errorf("got\n%s\nwant (go test -update writes it)\n%s%v", got, want, err)
	}
}

// bind gives a token a role, within scopes of names.
func bind(t testing.TB, h *apitest.Hub, token, role string, bundles, groups []string) {
	t.Helper()
	spec := &yardarmv1.RoleBindingSpec{Role: role, Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: token}}}
	if bundles != nil {
		spec.Bundles = &yardarmv1.Scope{Names: bundles}
	}
	if groups != nil {
		spec.ClusterGroups = &yardarmv1.Scope{Names: groups}
	}
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_RoleBinding{
		RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: token}, Spec: spec}}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// letsIn tells a refusal for who calls from every other answer.
func letsIn(t *testing.T, err error) bool {
	t.Helper()
	switch code := status.Code(err); code {
	case codes.Unauthenticated, codes.Internal, codes.Unknown, codes.Unavailable, codes.Unimplemented:
		t.Errorf("answered %v", err)
		return false
	default:
		return code != codes.PermissionDenied
	}
}

// grpcLetsIn calls a method with an empty request, but for the kind of a watch.
func grpcLetsIn(t *testing.T, h *apitest.Hub, token string, m protoreflect.MethodDescriptor) bool {
	t.Helper()
	conn := h.Dial(t, token)
	req := dynamicpb.NewMessage(m.Input())
	if kind := m.Input().Fields().ByName("kind"); kind != nil {
		req.Set(kind, protoreflect.ValueOfString(yardarmv1.KindBundle))
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(proto.Message(req))
	_ = stream.CloseSend()
	err = stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return letsIn(t, err)
}

// route is how a method is called over REST.
type route struct{ verb, path string }

func restRoutes(t *testing.T) map[string]route {
	t.Helper()
	var api struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(hubv1.OpenAPI, &api); err != nil {
		t.Fatal(err)
	}
	routes := map[string]route{}
	for path, operations := range api.Paths {
		for verb, operation := range operations {
			path = strings.NewReplacer("{kind}", "Bundle", "{number}", "1", "{digest}", "sha256:"+strings.Repeat("0", 64)).Replace(path)
			for _, field := range []string{"name", "cluster", "bundle"} {
				path = strings.ReplaceAll(path, "{"+field+"}", "nothing")
			}
			routes[strings.TrimPrefix(operation.OperationID, "FleetService_")] = route{strings.ToUpper(verb), path}
		}
	}
	return routes
}

func restLetsIn(t *testing.T, h *apitest.Hub, token string, r route) bool {
	t.Helper()
	var body io.Reader
	if r.verb == http.MethodPost {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(t.Context(), r.verb, h.URL+r.path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if slices.Contains([]int{http.StatusUnauthorized, http.StatusInternalServerError, http.StatusNotImplemented}, resp.StatusCode) {
		t.Errorf("%s %s: status %d", r.verb, r.path, resp.StatusCode)
	}
	return resp.StatusCode != http.StatusForbidden
}
