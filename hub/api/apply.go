package api

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	outcomeCreated    = "created"
	outcomeConfigured = "configured"
	outcomeUnchanged  = "unchanged"

	// maxResources is how many resources one call may bring: a fleet's whole description, in one message of gRPC.
	maxResources = 1000
)

// Apply implements FleetService. There are no update masks: what is applied is all that its owner says of a resource, so what is left out is taken
// back, and one field is changed by reading the resource and applying it with its version. Labels, which several change, have LabelCluster.
func (s *Server) Apply(ctx context.Context, req *hubv1.ApplyRequest) (*hubv1.ApplyResponse, error) {
	a, err := s.newApplication(req.GetResources())
	if err != nil {
		return nil, err
	}
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.ApplyResponse, error) {
		return func(v view) *hubv1.ApplyResponse { return a.response(v, req.GetDryRun()) }, a.run(c)
	})
}

// application is one call of Apply: what was sent, and what became of it. It runs once, in a transaction.
type application struct {
	server    *Server
	resources []*hubv1.Resource
	// uids[i] is for the i-th resource should it be made, revisionUIDs[i] for the revision that a new delivery policy or customization makes.
	uids, revisionUIDs []string
	// sealed are the secrets of those that are notifications, and sealedCredentials of those that are source credentials.
	sealed            []sealed
	sealedCredentials []map[string]*storev1.SealedSecret

	violations violations
	// outcomes and rows are of each resource; rows belong to the store.
	outcomes []string
	rows     []proto.Message
	// claims are what may hold objects of others now: bundles by uid, clusters by uid.
	bundles, clusters map[string]bool
	// strategies are those that say something else now, by name, and which of the resources each is.
	strategies map[string]int
}

// newApplication checks what can be checked without the rows.
func (s *Server) newApplication(resources []*hubv1.Resource) (*application, error) {
	a := &application{
		server: s, resources: resources, sealed: make([]sealed, len(resources)),
		sealedCredentials: make([]map[string]*storev1.SealedSecret, len(resources)), uids: make([]string, len(resources)), revisionUIDs: make([]string, len(resources)),
		outcomes: make([]string, len(resources)), rows: make([]proto.Message, len(resources)),
		bundles: make(map[string]bool), clusters: make(map[string]bool), strategies: make(map[string]int),
	}
	if len(resources) == 0 {
		return nil, invalid("resources", "is empty; there is nothing to apply")
	}
	if len(resources) > maxResources {
		return nil, invalid("resources", fmt.Sprintf("has %d entries; send at most %d at once", len(resources), maxResources))
	}
	seen := make(map[string]int)
	for i, r := range resources {
		var err error
		if a.uids[i], err = s.newUID(); err != nil {
			return nil, err
		}
		if a.revisionUIDs[i], err = s.newUID(); err != nil {
			return nil, err
		}
		kind, meta := describe(r)
		check := a.checker(i)
		if kind == "" {
			check.add("resource", "is missing: one of cluster, clusterGroup, bundle, gate, role, roleBinding, notification, strategy and sourceCredentials is needed")
			continue
		}
		key := kind + " " + meta.GetName()
		if first, again := seen[key]; again {
			check.add("metadata.name", fmt.Sprintf("is that of resources[%d], too", first))
		}
		seen[key] = i
		switch r := r.GetResource().(type) {
		case *hubv1.Resource_Cluster:
			check.meta(r.Cluster.GetApiVersion(), r.Cluster.GetKind(), kind, meta)
		case *hubv1.Resource_ClusterGroup:
			check.meta(r.ClusterGroup.GetApiVersion(), r.ClusterGroup.GetKind(), kind, meta)
			_, violations := placement.Compile(r.ClusterGroup)
			for _, v := range violations {
				check.add(v.Field, v.Message)
			}
		case *hubv1.Resource_Bundle:
			check.meta(r.Bundle.GetApiVersion(), r.Bundle.GetKind(), kind, meta)
			check.bundle(r.Bundle)
		case *hubv1.Resource_Gate:
			check.meta(r.Gate.GetApiVersion(), r.Gate.GetKind(), kind, meta)
			check.gate(r.Gate)
		case *hubv1.Resource_Role:
			check.meta(r.Role.GetApiVersion(), r.Role.GetKind(), kind, meta)
			check.role(r.Role)
		case *hubv1.Resource_RoleBinding:
			check.meta(r.RoleBinding.GetApiVersion(), r.RoleBinding.GetKind(), kind, meta)
			check.roleBinding(r.RoleBinding)
		case *hubv1.Resource_Strategy:
			check.meta(r.Strategy.GetApiVersion(), r.Strategy.GetKind(), kind, meta)
			check.strategy(r.Strategy)
		case *hubv1.Resource_Notification:
			check.meta(r.Notification.GetApiVersion(), r.Notification.GetKind(), kind, meta)
			check.notification(r.Notification.GetSpec())
			if a.sealed[i], err = s.seal(r.Notification); err != nil {
				return nil, err
			}
		case *hubv1.Resource_SourceCredentials:
			check.meta(r.SourceCredentials.GetApiVersion(), r.SourceCredentials.GetKind(), kind, meta)
			check.at("spec.").sourceCredentials(r.SourceCredentials.GetSpec())
			if a.sealedCredentials[i], err = s.sealCredentials(r.SourceCredentials); err != nil {
				return nil, err
			}
		}
	}
	return a, a.violations.err()
}

func (a *application) checker(i int) checker {
	kind, meta := describe(a.resources[i])
	subject := ""
	if kind != "" {
		subject = fmt.Sprintf("%s %q", kind, clip(meta.GetName()))
	}
	return checker{v: &a.violations, subject: subject, path: fmt.Sprintf("resources[%d].", i)}
}

// describe is the kind and the metadata of a resource; the kind is empty if there is none.
func describe(r *hubv1.Resource) (kind string, meta *yardarmv1.ObjectMeta) {
	switch r := r.GetResource().(type) {
	case *hubv1.Resource_Cluster:
		if r.Cluster != nil {
			return yardarmv1.KindCluster, r.Cluster.Metadata
		}
	case *hubv1.Resource_ClusterGroup:
		if r.ClusterGroup != nil {
			return yardarmv1.KindClusterGroup, r.ClusterGroup.Metadata
		}
	case *hubv1.Resource_Bundle:
		if r.Bundle != nil {
			return yardarmv1.KindBundle, r.Bundle.Metadata
		}
	case *hubv1.Resource_Gate:
		if r.Gate != nil {
			return yardarmv1.KindGate, r.Gate.Metadata
		}
	case *hubv1.Resource_Role:
		if r.Role != nil {
			return yardarmv1.KindRole, r.Role.Metadata
		}
	case *hubv1.Resource_RoleBinding:
		if r.RoleBinding != nil {
			return yardarmv1.KindRoleBinding, r.RoleBinding.Metadata
		}
	case *hubv1.Resource_Strategy:
		if r.Strategy != nil {
			return yardarmv1.KindStrategy, r.Strategy.Metadata
		}
	case *hubv1.Resource_Notification:
		if r.Notification != nil {
			return yardarmv1.KindNotification, r.Notification.Metadata
		}
	case *hubv1.Resource_SourceCredentials:
		if r.SourceCredentials != nil {
			return yardarmv1.KindSourceCredentials, r.SourceCredentials.Metadata
		}
	}
	return "", nil
}

// passes are the kinds in the order in which they are written: groups first, since bundles and gates may name them, clusters next, since claims depend on their
// labels, strategies and source credentials before the bundles that name them, and roles before what gives them.
var passes = []string{yardarmv1.KindClusterGroup, yardarmv1.KindCluster, yardarmv1.KindStrategy, yardarmv1.KindSourceCredentials, yardarmv1.KindBundle, yardarmv1.KindGate, yardarmv1.KindRole,
	yardarmv1.KindRoleBinding, yardarmv1.KindNotification}

// run writes all resources.
func (a *application) run(c *change) error {
	for _, pass := range passes {
		for i, r := range a.resources {
			if kind, _ := describe(r); kind != pass {
				continue
			}
			var err error
			switch r := r.GetResource().(type) {
			case *hubv1.Resource_ClusterGroup:
				err = a.group(c, i, r.ClusterGroup)
			case *hubv1.Resource_Cluster:
				err = a.cluster(c, i, r.Cluster)
			case *hubv1.Resource_Bundle:
				err = a.bundle(c, i, r.Bundle)
			case *hubv1.Resource_Gate:
				err = a.gate(c, i, r.Gate)
			case *hubv1.Resource_Role:
				err = a.role(c, i, r.Role)
			case *hubv1.Resource_RoleBinding:
				err = a.roleBinding(c, i, r.RoleBinding)
			case *hubv1.Resource_Strategy:
				err = a.strategy(c, i, r.Strategy)
			case *hubv1.Resource_Notification:
				err = a.notification(c, i, r.Notification)
			case *hubv1.Resource_SourceCredentials:
				err = a.sourceCredentials(c, i, r.SourceCredentials)
			}
			if err != nil {
				return err
			}
		}
	}
	for name, i := range a.strategies {
		c.checkNamers(a.checker(i), c.Strategy(name))
	}
	if err := a.violations.err(); err != nil {
		return err
	}
	for uid := range a.bundles {
		if b := c.Bundle(uid); b != nil {
			if err := checkDependencies(&c.ReadTx, b); err != nil {
				return err
			}
			if err := checkClaims(&c.ReadTx, b); err != nil {
				return err
			}
		}
	}
	for uid := range a.clusters {
		if err := checkClusterClaims(&c.ReadTx, c.Cluster(uid)); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) group(c *change, i int, in *yardarmv1.ClusterGroup) error {
	current := c.Group(in.Metadata.Name)
	if err := checkMeta(yardarmv1.KindClusterGroup, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	next := replacing(current, &yardarmv1.ClusterGroup{})
	next.Spec = proto.CloneOf(in.Spec)
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if err := c.PutGroup(next); err != nil {
		return err
	}
	if sameSpec {
		return nil
	}
	for b := range c.BundlesTargeting(in.Metadata.Name) {
		a.bundles[b.GetMetadata().GetUid()] = true
	}
	return c.event(&yardarmv1.Event{Reason: "ClusterGroupConfigured", Message: fmt.Sprintf("cluster group %q %s", in.Metadata.Name, a.outcomes[i])})
}

func (a *application) cluster(c *change, i int, in *yardarmv1.Cluster) error {
	name := in.Metadata.Name
	current := c.ClusterByName(name)
	if current == nil {
		return notFound(yardarmv1.KindCluster, name, fmt.Sprintf("clusters are made by enrolling: `yardarm enroll %s`", name))
	}
	if err := checkMeta(yardarmv1.KindCluster, current.Metadata, in.Metadata); err != nil {
		return err
	}
	if in.Spec != nil && !proto.Equal(in.Spec, current.Spec) && !proto.Equal(in.Spec, &yardarmv1.ClusterSpec{}) {
		a.checker(i).add("spec", "cannot be applied; use `yardarm ban`, `yardarm unban` and `yardarm delete` instead")
		return nil
	}
	next := proto.CloneOf(current)
	var same bool
	next.Metadata, same = c.meta(current.Metadata, in.Metadata, "", true)
	if a.note(i, true, same, current, next) {
		return nil
	}
	before := c.GroupsOf(current.Metadata.Uid)
	if err := c.PutCluster(next); err != nil {
		return err
	}
	if !sameStrings(before, c.GroupsOf(current.Metadata.Uid)) {
		a.clusters[current.Metadata.Uid] = true
	}
	return c.event(&yardarmv1.Event{Reason: "ClusterConfigured", Cluster: name, Message: "labels or annotations changed"})
}

func (a *application) bundle(c *change, i int, in *yardarmv1.Bundle) error {
	name := in.Metadata.Name
	current := c.BundleByName(name)
	if err := checkMeta(yardarmv1.KindBundle, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	for t, target := range in.GetSpec().GetTargets() {
		if c.Group(target.GetGroup()) == nil {
			a.checker(i).add(fmt.Sprintf("spec.targets[%d].group", t), unknownGroup(target.GetGroup()))
		}
	}
	unknownStages(c, a.checker(i).at("spec.rollout."), in.GetSpec().GetRollout())
	c.checkNamed(a.checker(i).at("spec."), in.GetSpec())
	c.checkCredentialsOf(a.checker(i).at("spec.source."), in)
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	next := replacing(current, &yardarmv1.Bundle{})
	if next.Spec = proto.CloneOf(in.Spec); next.Status == nil {
		next.Status = &yardarmv1.BundleStatus{}
	}
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if rev := c.Revision(current.GetMetadata().GetUid(), current.GetStatus().GetLatestRevision()); rev != nil {
		// Delivery policy, customizations and the targets' variants are part of a revision, so that a change of them reaches clusters as any other does. With a variant that
		// the source has yet to come to, it does so by the source's next revision.
		content := snapshot(next.Spec, rev.Spec)
		if parts := changed(rev.Spec, content); len(parts) > 0 && lacks(content) == nil {
			if _, err := c.addRevision(next, a.revisionUIDs[i], rev.Spec,
				&yardarmv1.Provenance{Message: fmt.Sprintf("%s changed; content of revision %d", strings.Join(parts, " and "), rev.Spec.Number)}); err != nil {
				return err
			}
		}
	}
	if err := c.PutBundle(next); err != nil {
		return err
	}
	if sameSpec {
		return nil
	}
	a.bundles[next.Metadata.Uid] = true
	return c.event(&yardarmv1.Event{Reason: "BundleConfigured", Bundle: name, Message: fmt.Sprintf("bundle %s", a.outcomes[i])})
}

func unknownGroup(name string) string {
	return fmt.Sprintf("there is no cluster group %q; apply it first, or in the same call", clip(name))
}

// replacing answers next, which is empty, as a copy of current if there is one: what people do not write stays, and so does what a newer
// hub has written that this one does not know.
func replacing[M proto.Message](current, next M) M {
	proto.Merge(next, current)
	return next
}

// note keeps what becomes of a resource, and tells whether there is nothing to write.
func (a *application) note(i int, exists, same bool, current, next proto.Message) (unchanged bool) {
	a.rows[i] = next
	switch {
	case !exists:
		a.outcomes[i] = outcomeCreated
	case same:
		a.outcomes[i], a.rows[i] = outcomeUnchanged, current
		return true
	default:
		a.outcomes[i] = outcomeConfigured
	}
	return false
}

// response shows what the rows look like now. After a dry run, versions are left out: there are none.
func (a *application) response(v view, dryRun bool) *hubv1.ApplyResponse {
	resp := &hubv1.ApplyResponse{Results: make([]*hubv1.ApplyResult, len(a.rows))}
	for i, row := range a.rows {
		out := &hubv1.Resource{}
		var meta *yardarmv1.ObjectMeta
		var warnings []string
		switch row := row.(type) {
		case *yardarmv1.Cluster:
			shown := v.cluster(row)
			out.Resource, meta = &hubv1.Resource_Cluster{Cluster: shown}, shown.Metadata
		case *yardarmv1.ClusterGroup:
			shown := v.group(row)
			out.Resource, meta = &hubv1.Resource_ClusterGroup{ClusterGroup: shown}, shown.Metadata
		case *yardarmv1.Bundle:
			shown := v.bundle(row)
			out.Resource, meta = &hubv1.Resource_Bundle{Bundle: shown}, shown.Metadata
			warnings = append(dependencyWarnings(v.ReadTx, row), gateWarnings(v.ReadTx, row, v.now)...)
			warnings = append(append(warnings, storageWarnings(v.ReadTx, row)...), stageWarnings(v.ReadTx, row)...)
		case *yardarmv1.Gate:
			shown := v.gate(row)
			out.Resource, meta = &hubv1.Resource_Gate{Gate: shown}, shown.Metadata
			warnings = v.gateWarnings(row)
		case *yardarmv1.Role:
			shown := roleView(row)
			out.Resource, meta = &hubv1.Resource_Role{Role: shown}, shown.Metadata
		case *yardarmv1.RoleBinding:
			shown := roleBindingView(row)
			out.Resource, meta = &hubv1.Resource_RoleBinding{RoleBinding: shown}, shown.Metadata
		case *yardarmv1.Strategy:
			shown := v.strategy(row)
			out.Resource, meta = &hubv1.Resource_Strategy{Strategy: shown}, shown.Metadata
		case *storev1.Notification:
			shown := a.server.notificationView(row)
			out.Resource, meta = &hubv1.Resource_Notification{Notification: shown}, shown.Metadata
		case *storev1.SourceCredentials:
			shown := sourceCredentialsView(v.ReadTx, row)
			out.Resource, meta = &hubv1.Resource_SourceCredentials{SourceCredentials: shown}, shown.Metadata
			warnings = scopeWarnings(v.ReadTx, shown)
		}
		if dryRun && a.outcomes[i] != outcomeUnchanged {
			meta.ResourceVersion = ""
			if a.outcomes[i] == outcomeCreated {
				meta.Uid = ""
			}
		}
		resp.Results[i] = &hubv1.ApplyResult{Resource: out, Outcome: a.outcomes[i], Warnings: warnings}
	}
	return resp
}

// checkMeta refuses to change another resource than the caller has seen. current is nil if there is none.
func checkMeta(kind string, current, in *yardarmv1.ObjectMeta) error {
	if current == nil {
		if in.GetResourceVersion() != "" {
			return staleVersion(kind, in.GetName(), in.GetResourceVersion(), "")
		}
		return nil
	}
	if in.GetUid() != "" && in.GetUid() != current.Uid {
		return precondition(reasonOtherUID, kind, current.Name, fmt.Sprintf(
			"%s %q is another one than the one that was read: it was deleted and made again; read it again, or leave out metadata.uid", words(kind), current.Name))
	}
	return checkVersion(kind, current, in.GetResourceVersion())
}

// meta is the metadata after what people wrote of it is in; same tells whether that changes nothing. current is nil for a new resource.
func (c *change) meta(current, in *yardarmv1.ObjectMeta, uid string, sameSpec bool) (next *yardarmv1.ObjectMeta, same bool) {
	if current == nil {
		next = c.newMeta(in.Name, uid)
	} else {
		next = proto.CloneOf(current)
		same = maps.Equal(current.Labels, in.Labels) && maps.Equal(current.Annotations, in.Annotations)
		if !sameSpec {
			next.Generation++
		}
	}
	next.Labels, next.Annotations = maps.Clone(in.Labels), maps.Clone(in.Annotations)
	return next, same
}
