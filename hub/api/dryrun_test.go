package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// reading are the verbs that methods begin with which change nothing.
var reading = []string{"Test", "Get", "List", "Watch", "Preview", "Backup", "WhoAmI", "CanI"}

func fleetMethods() protoreflect.MethodDescriptors {
	return hubv1.File_yardarm_hub_v1_fleet_proto.Services().ByName("FleetService").Methods()
}

// changing are the methods that change something.
func changing() (names []string) {
	for i := range fleetMethods().Len() {
		name := string(fleetMethods().Get(i).Name())
		if !slices.ContainsFunc(reading, func(verb string) bool { return strings.HasPrefix(name, verb) }) {
			names = append(names, name)
		}
	}
	return names
}

// unconditional make something, or change several resources at once, or what is right whatever it is like by now.
var unconditional = []string{"Apply", "EnrollCluster", "CreateToken", "Accept", "Reconcile", "RevokeToken", "OverrideGates", "RotateAuthority", "RetireAuthority"}

// TestEveryChangeHasADryRunAndAPrecondition reads the service's descriptor, so that a new method cannot be forgotten.
func TestEveryChangeHasADryRunAndAPrecondition(t *testing.T) {
	for _, name := range changing() {
		request := fleetMethods().ByName(protoreflect.Name(name)).Input()
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

// retirable is a CA whose old root nobody needs.
type retirable struct{ api.Authority }

func (r retirable) Retire(commit func(ca.Step) error) error {
	now := r.Standing()
	return commit(func(*store.Tx) (ca.Standing, error) { return now, nil })
}

// changeableFleet is a small fleet in which each method has something to change.
func changeableFleet(t *testing.T) *apitest.Hub {
	t.Helper()
	h := smallFleet(t, func(c *api.Config, _ *gateway.Config) { c.Authority = retirable{c.Authority} })
	apply(t, h, ownRole(), ownBinding(), freezing("own", "nothing"), careful(), notification("ops", &yardarmv1.NotificationSpec{Url: "https://ops.example.com"}),
		sourceCredentials("own", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/"}, BearerToken: "t"}))
	must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "old"}))
	web := h.Store.Read().BundleByName("web")
	h.Report(t, h.Store.Read().ClusterByName("paris").Metadata.Uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Metadata.Uid, Phase: yardarmv1.PhaseHeld,
		Reason: yardarmv1.ReasonNewerThanHub, AssignmentHash: []byte("newer")})
	h.Report(t, h.Store.Read().ClusterByName("berlin").Metadata.Uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Metadata.Uid, Phase: yardarmv1.PhaseReady,
		AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash, Drift: []*yardarmv1.Drift{differing("data.key", `"2"`, `"3"`)}})
	for name, row := range map[string]*storev1.Rollout{
		"failing": {Phase: uint32(rollout.Progressing), Failure: "berlin failed"}, "waiting": {Wait: uint32(rollout.WaitApproval)}, "paused": {Phase: uint32(rollout.Paused)},
	} {
		publish(t, h, name, "1", "prod")
		row.BundleUid, row.Revision = h.Store.Read().BundleByName(name).Metadata.Uid, 1
		row.Strategy = &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "first"}, {Name: "rest"}}}
		row.Stages = []*storev1.RolloutStage{{Name: "first", Concurrency: 1}, {Name: "rest", Concurrency: 1}}
		if name == "waiting" {
			row.Strategy.Stages[0].Approval = yardarmv1.ApprovalAfter
		}
		h.Update(t, func(tx *store.Tx) error { return tx.PutRollout(row) })
	}
	return h
}

func ownRole() *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: "own"},
		Spec: &yardarmv1.RoleSpec{Rules: []*yardarmv1.Rule{{Verbs: []string{"get"}, Resources: []string{"clusters"}}}}}}}
}

func ownBinding() *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: "own"},
		Spec: &yardarmv1.RoleBindingSpec{Role: "viewer", Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectUser, Name: "ann"}}}}}}
}

// changesOf are calls of every method that changes something in a changeable fleet, by its name: dry runs, and with a version where they take one.
func changesOf(h *apitest.Hub, dryRun bool, version string) map[string]func(context.Context) (proto.Message, error) {
	steer := func(bundle string) *hubv1.SteerRolloutRequest {
		return &hubv1.SteerRolloutRequest{Bundle: bundle, DryRun: dryRun}
	}
	return map[string]func(context.Context) (proto.Message, error){
		"Apply": func(ctx context.Context) (proto.Message, error) {
			return h.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("new", "env=new")}, DryRun: dryRun})
		},
		"LabelCluster": func(ctx context.Context) (proto.Message, error) {
			return h.LabelCluster(ctx, &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"a": "b"}, DryRun: dryRun, ResourceVersion: version})
		},
		"EnrollCluster": func(ctx context.Context) (proto.Message, error) {
			return h.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: "madrid", DryRun: dryRun})
		},
		"BanCluster": func(ctx context.Context) (proto.Message, error) {
			return h.BanCluster(ctx, &hubv1.BanClusterRequest{Name: "berlin", DryRun: dryRun, ResourceVersion: version})
		},
		"UnbanCluster": func(ctx context.Context) (proto.Message, error) {
			return h.UnbanCluster(ctx, &hubv1.UnbanClusterRequest{Name: "berlin", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteCluster": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteCluster(ctx, &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteClusterGroup": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteClusterGroup(ctx, &hubv1.DeleteClusterGroupRequest{Name: "all", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteBundle": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteBundle(ctx, &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP, DryRun: dryRun, ResourceVersion: version})
		},
		"PublishRevision": func(ctx context.Context) (proto.Message, error) {
			return h.Publish(ctx, &hubv1.Publication{Bundle: "web", DryRun: dryRun, ResourceVersion: version}, apitest.ConfigMap("", "web", "3"))
		},
		"UndoRollout": func(ctx context.Context) (proto.Message, error) {
			return h.UndoRollout(ctx, &hubv1.UndoRolloutRequest{Bundle: "web", DryRun: dryRun, ResourceVersion: version})
		},
		"AcceptDrift": func(ctx context.Context) (proto.Message, error) {
			return h.AcceptDrift(ctx, &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"berlin"}, DryRun: dryRun, ResourceVersion: version})
		},
		"PauseRollout":   func(ctx context.Context) (proto.Message, error) { return h.PauseRollout(ctx, steer("failing")) },
		"ResumeRollout":  func(ctx context.Context) (proto.Message, error) { return h.ResumeRollout(ctx, steer("paused")) },
		"ApproveRollout": func(ctx context.Context) (proto.Message, error) { return h.ApproveRollout(ctx, steer("waiting")) },
		"PromoteRollout": func(ctx context.Context) (proto.Message, error) { return h.PromoteRollout(ctx, steer("failing")) },
		"RetryRollout":   func(ctx context.Context) (proto.Message, error) { return h.RetryRollout(ctx, steer("failing")) },
		"Accept": func(ctx context.Context) (proto.Message, error) {
			return h.Accept(ctx, &hubv1.AcceptRequest{Bundle: "web", DryRun: dryRun})
		},
		"Reconcile": func(ctx context.Context) (proto.Message, error) {
			return h.Reconcile(ctx, &hubv1.ReconcileRequest{Bundle: "web", DryRun: dryRun})
		},
		"DeleteRole": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteRole(ctx, &hubv1.DeleteRoleRequest{Name: "own", DryRun: dryRun, ResourceVersion: version})
		},
		"OverrideGates": func(ctx context.Context) (proto.Message, error) {
			req := steer("paused")
			req.Message = "the shop is down"
			return h.OverrideGates(ctx, req)
		},
		"DeleteGate": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteGate(ctx, &hubv1.DeleteGateRequest{Name: "own", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteStrategy": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteStrategy(ctx, &hubv1.DeleteStrategyRequest{Name: "careful", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteSourceCredentials": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteSourceCredentials(ctx, &hubv1.DeleteSourceCredentialsRequest{Name: "own", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteNotification": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteNotification(ctx, &hubv1.DeleteNotificationRequest{Name: "ops", DryRun: dryRun, ResourceVersion: version})
		},
		"DeleteRoleBinding": func(ctx context.Context) (proto.Message, error) {
			return h.DeleteRoleBinding(ctx, &hubv1.DeleteRoleBindingRequest{Name: "own", DryRun: dryRun, ResourceVersion: version})
		},
		"CreateToken": func(ctx context.Context) (proto.Message, error) {
			return h.CreateToken(ctx, &hubv1.CreateTokenRequest{Name: "ci", Role: "viewer", DryRun: dryRun})
		},
		"RevokeToken": func(ctx context.Context) (proto.Message, error) {
			return h.RevokeToken(ctx, &hubv1.RevokeTokenRequest{Name: "old", DryRun: dryRun})
		},
		"RotateAuthority": func(ctx context.Context) (proto.Message, error) {
			return h.RotateAuthority(ctx, &hubv1.RotateAuthorityRequest{DryRun: dryRun})
		},
		"RetireAuthority": func(ctx context.Context) (proto.Message, error) {
			return h.RetireAuthority(ctx, &hubv1.RetireAuthorityRequest{DryRun: dryRun})
		},
	}
}

// TestDryRunsChangeNothing makes a dry run of every method that changes something. Each goes well, and nothing is committed: neither the change nor an entry of the audit log.
func TestDryRunsChangeNothing(t *testing.T) {
	h := changeableFleet(t)
	before, entries := h.Store.Read().Index(), len(h.Audited(t))
	sub := h.Store.Subscribe(store.Clusters, store.Groups, store.Bundles, store.Revisions, store.Tokens, store.Credentials, store.RoleBindings, store.Reconciliations, store.Events)
	defer sub.Close()
	calls := changesOf(h, true, "")
	for _, name := range changing() {
		if calls[name] == nil {
			t.Errorf("%s: nobody has tried a dry run", name)
			continue
		}
		answer, err := calls[name](t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch a := answer.(type) {
		case *yardarmv1.Cluster:
			if name == "BanCluster" && a.Status.Phase != yardarmv1.ClusterBanned || name == "LabelCluster" && a.Metadata.Labels["a"] != "b" {
				t.Errorf("%s: answered %v", name, a)
			}
		case *yardarmv1.Rollout:
			if name == "PauseRollout" && a.Status.Phase != yardarmv1.RolloutPaused {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.ApplyResponse:
			if len(a.Results) != 1 || a.Results[0].Outcome != "created" {
				t.Errorf("%s: answered %v", name, a)
			}
		case *hubv1.AcceptResponse:
			if !slices.Equal(a.Accepted, []string{"paris.web"}) {
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
		if after := h.Store.Read().Index(); after != before {
			t.Errorf("%s has taken the store from %d to %d", name, before, after)
			before = after
		}
	}
	if !sub.Take().Empty() {
		t.Error("subscribers have heard of dry runs")
	}
	if more := h.Audited(t)[entries:]; len(more) > 0 {
		t.Errorf("dry runs have left %v in the audit log", more)
	}
}

func TestPreconditionsOfEveryChange(t *testing.T) {
	h := changeableFleet(t)
	before := h.Store.Read().Index()
	for name, call := range changesOf(h, false, "1") {
		if slices.Contains(unconditional, name) || strings.HasSuffix(name, "Rollout") && name != "UndoRollout" {
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
