package api_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var update = flag.Bool("update", false, "write the golden file anew")

var builtInRoles = []string{"viewer", "publisher", "operator", "approver", "admin"}

// TestEveryMethodAsEveryRole makes the same call of every method of the service over gRPC and REST, as each of the roles that every hub has and as a token without
// any, and compares what they come to. Who is let in is in the golden file, to be read when it changes; a method that is not in it fails.
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
			r := routes[string(m.Name())]
			overGRPC, overREST := callGRPC(t, h, tokens[role], m, r), callREST(t, h, tokens[role], m, r)
			if overGRPC != overREST {
				t.Errorf("%s as %s\nover gRPC: %s\nover REST: %s", m.Name(), role, overGRPC, overREST)
			}
			said := "-"
			if overGRPC.letsIn(t) {
				said = "yes"
			}
			fmt.Fprintf(&b, "%-11s", said)
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

// TestAnswersAreTheSameOverREST makes the same call of every method over gRPC and REST where what it names is there, as who sees all of it and as who sees a part, and
// compares what they come to. Whatever only reads has to have an answer.
func TestAnswersAreTheSameOverREST(t *testing.T) {
	h := changeableFleet(t)
	part := h.Issue(t, "part", time.Time{})
	bind(t, h, "part", "operator", []string{"web"}, []string{"prod"})
	web := must[*yardarmv1.Revision](t)(h.GetRevision(t.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: 2}))
	names := map[string]string{"clusters": "paris", "bundles": "web", "clustergroups": "prod", "strategies": "careful", "notifications": "ops", "tokens": "old"}
	routes := restRoutesTo(t, func(path string) map[string]string {
		kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
		return map[string]string{"kind": yardarmv1.KindCluster, "number": "2", "digest": web.Spec.Digest, "cluster": "paris", "bundle": "web", "name": cmp.Or(names[kind], "own")}
	})
	for i := range fleetMethods().Len() {
		m := fleetMethods().Get(i)
		name := string(m.Name())
		if name == "TestNotification" {
			continue // it sends one
		}
		r := routes[name]
		for who, token := range map[string]string{"who sees all": h.Token, "who sees a part": part} {
			overGRPC, overREST := callGRPC(t, h, token, m, r), callREST(t, h, token, m, r)
			if overGRPC != overREST {
				t.Errorf("%s as %s\nover gRPC: %s\nover REST: %s", name, who, overGRPC, overREST)
			}
			reads := r.verb == http.MethodGet && name != "GetHistory" && name != "CanI" // which need more than a path
			if token == h.Token && reads && (overGRPC.code != codes.OK || overGRPC.said == "") {
				t.Errorf("%s answers %s", name, overGRPC)
			}
		}
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

// outcome is what a call came to: the refusal, or the first message as JSON, without what differs from call to call.
type outcome struct {
	code codes.Code
	said string
}

func (o outcome) String() string { return fmt.Sprintf("%s %.300s", o.code, o.said) }

// letsIn tells a refusal for who calls from every other answer.
func (o outcome) letsIn(t *testing.T) bool {
	t.Helper()
	switch o.code {
	case codes.Unauthenticated, codes.Internal, codes.Unknown, codes.Unavailable, codes.Unimplemented:
		t.Errorf("answered %v", o)
		return false
	default:
		return o.code != codes.PermissionDenied
	}
}

// differs is what two equal calls may tell differently: times, cursors, uids, and what is drawn or made of all there is.
var differs = regexp.MustCompile(`"(?:\d{4}-\d\d-\d\dT[^"]*|[0-9a-f-]{36}|[0-9a-f]{8}/\d+|[^"]{200,})"`)

func outcomeOf(t *testing.T, text []byte) outcome {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %.300q", err, text)
	}
	return outcome{codes.OK, string(differs.ReplaceAll(must[[]byte](t)(json.Marshal(value)), []byte(`"…"`)))}
}

// callGRPC calls a method with what its route has in its path, and as a dry run where it changes something: the second call is to find what the first did.
func callGRPC(t *testing.T, h *apitest.Hub, token string, m protoreflect.MethodDescriptor, r route) outcome {
	t.Helper()
	conn := h.Dial(t, token)
	req := dynamicpb.NewMessage(m.Input())
	for name, value := range r.fields {
		field := m.Input().Fields().ByName(protoreflect.Name(name))
		if field.Kind() == protoreflect.StringKind {
			req.Set(field, protoreflect.ValueOfString(value))
		} else {
			req.Set(field, protoreflect.ValueOfUint32(uint32(must[uint64](t)(strconv.ParseUint(value, 10, 32)))))
		}
	}
	if dry := dryRunOf(m); dry != nil {
		req.Set(dry, protoreflect.ValueOfBool(true))
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(proto.Message(req))
	_ = stream.CloseSend()
	answer := dynamicpb.NewMessage(m.Output())
	switch err := stream.RecvMsg(answer); {
	case errors.Is(err, io.EOF):
		return outcome{}
	case err != nil:
		return outcome{status.Code(err), status.Convert(err).Message()}
	}
	return outcomeOf(t, must[[]byte](t)(protojson.Marshal(answer)))
}

func dryRunOf(m protoreflect.MethodDescriptor) protoreflect.FieldDescriptor {
	return m.Input().Fields().ByName("dry_run")
}

// route is how a method is called over REST, and which fields of its request are in the path, with their values.
type route struct {
	verb, path string
	fields     map[string]string
}

// inPath are values of which there is nothing.
var inPath = map[string]string{"kind": yardarmv1.KindBundle, "number": "1", "digest": "sha256:" + strings.Repeat("0", 64), "name": "nothing", "cluster": "nothing", "bundle": "nothing"}

func restRoutes(t *testing.T) map[string]route {
	t.Helper()
	return restRoutesTo(t, func(string) map[string]string { return inPath })
}

// restRoutesTo are the routes of all methods, with the values that in has for the fields of a path.
func restRoutesTo(t *testing.T, in func(path string) map[string]string) map[string]route {
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
			r := route{verb: strings.ToUpper(verb), path: path, fields: map[string]string{}}
			for field, value := range in(path) {
				if strings.Contains(path, "{"+field+"}") {
					r.path, r.fields[field] = strings.ReplaceAll(r.path, "{"+field+"}", value), value
				}
			}
			routes[strings.TrimPrefix(operation.OperationID, "FleetService_")] = r
		}
	}
	return routes
}

// callREST makes the same call.
func callREST(t *testing.T, h *apitest.Hub, token string, m protoreflect.MethodDescriptor, r route) outcome {
	t.Helper()
	var body io.Reader
	switch dry := dryRunOf(m) != nil; {
	case r.verb == http.MethodPost && dry:
		body = strings.NewReader(`{"dryRun": true}`)
	case r.verb == http.MethodPost:
		body = strings.NewReader("{}")
	case dry:
		r.path += "?dry_run=true"
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), r.verb, h.URL+r.path, body))
	req.Header.Set("Authorization", "Bearer "+token)
	resp := must[*http.Response](t)(h.HTTP.Do(req))
	defer resp.Body.Close()
	type refusal struct {
		Code    codes.Code
		Message string
	}
	var text json.RawMessage
	switch err := json.NewDecoder(resp.Body).Decode(&text); {
	case errors.Is(err, io.EOF):
		return outcome{}
	case err != nil:
		t.Fatalf("%s %s: %v", r.verb, r.path, err)
	}
	var answer struct {
		refusal
		Result json.RawMessage // of a stream, and so is
		Error  refusal
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %v", r.verb, r.path, err)
	}
	if refused := cmp.Or(answer.refusal, answer.Error); resp.StatusCode >= 400 || refused.Code != codes.OK {
		return outcome{refused.Code, refused.Message}
	}
	if answer.Result != nil {
		text = answer.Result
	}
	return outcomeOf(t, text)
}
