package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// reading are the verbs that methods begin with which change nothing.
var reading = []string{"Get", "List", "Watch", "Preview", "Backup", "WhoAmI", "CanI"}

// unconditional make something, or change several resources at once, or what is right whatever it is like by now.
var unconditional = []string{"Apply", "EnrollCluster", "CreateToken", "Accept", "Reconcile", "RevokeToken", "RotateAuthority", "RetireAuthority"}

// TestEveryChangeHasADryRunAndAPrecondition reads the service's descriptor, so that a new method cannot be forgotten.
func TestEveryChangeHasADryRunAndAPrecondition(t *testing.T) {
	methods := hubv1.File_yardarm_hub_v1_fleet_proto.Services().ByName("FleetService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		name := string(m.Name())
		if slices.ContainsFunc(reading, func(verb string) bool { return strings.HasPrefix(name, verb) }) {
			continue
		}
		request := m.Input()
		if publication := request.Fields().ByName("publication"); publication != nil {
			request = publication.Message()
		}
		// A rollout goes on by itself from one moment to the next: what its caller means is the revision.
		if request.Name() == "SteerRolloutRequest" && request.Fields().ByName("revision") != nil && request.Fields().ByName("dry_run") != nil {
			continue
		}
		for field, kind := range map[protoreflect.Name]protoreflect.Kind{"dry_run": protoreflect.BoolKind, "resource_version": protoreflect.StringKind} {
			if field == "resource_version" && slices.Contains(unconditional, name) {
				continue
			}
			if f := request.Fields().ByName(field); f == nil || f.Kind() != kind {
				t.Errorf("%s has no %s", name, field)
			}
		}
	}
}

// changesOf are calls of everything that changes something in a small fleet: dry runs, and with a version where they take one.
func changesOf(h *apitest.Hub, dryRun bool, version string) map[string]func(context.Context) (proto.Message, error) {
	type reply = func(context.Context) (proto.Message, error)
	keep := yardarmv1.Workloads_WORKLOADS_KEEP
	return map[string]reply{
		"label": func(ctx context.Context) (proto.Message, error) {
			return h.LabelCluster(ctx, &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"a": "b"}, DryRun: dryRun, ResourceVersion: version})
		},
		"ban": func(ctx context.Context) (proto.Message, error) {
			return h.BanCluster(ctx, &hubv1.BanClusterRequest{Name: "berlin", DryRun: dryRun, ResourceVersion: version})
		},
		"unban": func(ctx context.Context) (proto.Message, error) {
			return h.UnbanCluster(ctx, &hubv1.UnbanClusterRequest{Name: "berlin", DryRun: dryRun, ResourceVersion: version})
		},
		"delete a cluster": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteCluster(ctx, &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, DryRun: dryRun, ResourceVersion: version})
		},
		"delete a group": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteClusterGroup(ctx, &hubv1.DeleteClusterGroupRequest{Name: "all", DryRun: dryRun, ResourceVersion: version})
		},
		"delete a bundle": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteBundle(ctx, &hubv1.DeleteBundleRequest{Name: "web", Workloads: keep, DryRun: dryRun, ResourceVersion: version})
		},
		"undo": func(ctx context.Context) (proto.Message, error) {
			return h.UndoRollout(ctx, &hubv1.UndoRolloutRequest{Bundle: "web", DryRun: dryRun, ResourceVersion: version})
		},
		"publish": func(ctx context.Context) (proto.Message, error) {
			return h.Publish(ctx, &hubv1.Publication{Bundle: "web", DryRun: dryRun, ResourceVersion: version}, apitest.ConfigMap("", "web", "3"))
		},
		"enroll": func(ctx context.Context) (proto.Message, error) {
			return h.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: "madrid", DryRun: dryRun})
		},
		"create a token": func(ctx context.Context) (proto.Message, error) {
			return h.CreateToken(ctx, &hubv1.CreateTokenRequest{Name: "ci", Role: "viewer", DryRun: dryRun})
		},
		"reconcile": func(ctx context.Context) (proto.Message, error) {
			return h.Reconcile(ctx, &hubv1.ReconcileRequest{Bundle: "web", DryRun: dryRun})
		},
	}
}

func TestDryRunsChangeNothing(t *testing.T) {
	h := smallFleet(t)
	before := h.Store.Read().Index()
	sub := h.Store.Subscribe(store.Clusters, store.Groups, store.Bundles, store.Revisions, store.Tokens, store.Credentials, store.RoleBindings, store.Reconciliations, store.Events)
	defer sub.Close()
	for name, call := range changesOf(h, true, "") {
		answer, err := call(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch a := answer.(type) {
		case *yardarmv1.Cluster:
			if name == "ban" && a.Status.Phase != yardarmv1.ClusterBanned || name == "label" && a.Metadata.Labels["a"] != "b" {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.DeleteClusterResponse:
			if a.Cluster.GetStatus().GetPhase() != yardarmv1.ClusterDeleting {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.EnrollClusterResponse:
			if a.Token != "" || a.Cluster.GetMetadata().GetName() != "madrid" {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.CreateTokenResponse:
			if a.Secret != "" || a.Token.GetMetadata().GetName() != "ci" {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.PublishRevisionResponse:
			if a.Revision.GetSpec().GetNumber() != 3 || a.Outcome != "published" {
				t.Errorf("%s: answered %v", name, a)
			}
		}
	}
	if after := h.Store.Read().Index(); after != before || !sub.Take().Empty() {
		t.Errorf("dry runs have taken the store from %d to %d", before, after)
	}
}

func TestPreconditionsOfEveryChange(t *testing.T) {
	h := smallFleet(t)
	before := h.Store.Read().Index()
	for name, call := range changesOf(h, false, "1") {
		if name == "enroll" || name == "reconcile" || name == "create a token" {
			continue
		}
		_, err := call(t.Context())
		if st := refused(t, err, codes.Aborted, "read it again"); reason(st) != "RESOURCE_VERSION_MISMATCH" {
			t.Errorf("%s: reason %q", name, reason(st))
		}
	}
	if after := h.Store.Read().Index(); after != before {
		t.Errorf("refused changes have taken the store from %d to %d", before, after)
	}
}
