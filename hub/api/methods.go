package api

import (
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// withAssignments are the tables about assignments and rollouts, whose rows go with the bundle or the cluster that they belong to.
var withAssignments = []store.Table{store.Acceptances, store.Reconciliations, store.Rollouts}

// needs says of every method what it needs of its caller. A method that is not here cannot be served.
var needs = map[string]need{
	hubv1.FleetService_GetHub_FullMethodName:          {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceHub, objects: whole},
	hubv1.FleetService_Backup_FullMethodName:          {verb: yardarmv1.VerbBackup, resource: yardarmv1.ResourceHub, objects: whole},
	hubv1.FleetService_GetAuthority_FullMethodName:    {verb: yardarmv1.VerbRotate, resource: yardarmv1.ResourceHub, objects: whole},
	hubv1.FleetService_RotateAuthority_FullMethodName: {verb: yardarmv1.VerbRotate, resource: yardarmv1.ResourceHub, objects: whole},
	hubv1.FleetService_RetireAuthority_FullMethodName: {verb: yardarmv1.VerbRotate, resource: yardarmv1.ResourceHub, objects: whole},
	hubv1.FleetService_Apply_FullMethodName:           {verb: yardarmv1.VerbApply, objects: applied},

	hubv1.FleetService_ListClusters_FullMethodName:  {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceClusters, objects: inGroup},
	hubv1.FleetService_GetCluster_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceClusters, objects: namedCluster},
	hubv1.FleetService_LabelCluster_FullMethodName:  {verb: yardarmv1.VerbLabel, resource: yardarmv1.ResourceClusters, objects: namedCluster},
	hubv1.FleetService_EnrollCluster_FullMethodName: {verb: yardarmv1.VerbEnroll, resource: yardarmv1.ResourceClusters, objects: newCluster},
	hubv1.FleetService_BanCluster_FullMethodName:    {verb: yardarmv1.VerbBan, resource: yardarmv1.ResourceClusters, objects: namedCluster},
	hubv1.FleetService_UnbanCluster_FullMethodName:  {verb: yardarmv1.VerbBan, resource: yardarmv1.ResourceClusters, objects: namedCluster},
	hubv1.FleetService_DeleteCluster_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceClusters, objects: namedCluster,
		consequences: withAssignments},

	hubv1.FleetService_ListClusterGroups_FullMethodName:  {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceClusterGroups},
	hubv1.FleetService_GetClusterGroup_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceClusterGroups, objects: namedGroup},
	hubv1.FleetService_DeleteClusterGroup_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceClusterGroups, objects: namedGroup},

	hubv1.FleetService_ListBundles_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceBundles},
	hubv1.FleetService_GetBundle_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceBundles, objects: namedBundle},
	hubv1.FleetService_DeleteBundle_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceBundles, objects: namedBundle,
		consequences: withAssignments},

	hubv1.FleetService_PublishRevision_FullMethodName: {verb: yardarmv1.VerbPublish, resource: yardarmv1.ResourceBundles, objects: published},
	hubv1.FleetService_UndoRollout_FullMethodName:     {verb: yardarmv1.VerbUndo, resource: yardarmv1.ResourceBundles, objects: ofBundle},
	hubv1.FleetService_AcceptDrift_FullMethodName:     {verb: yardarmv1.VerbApply, resource: yardarmv1.ResourceBundles, objects: ofBundle},
	hubv1.FleetService_ListRevisions_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRevisions, objects: ofBundle},
	hubv1.FleetService_GetRevision_FullMethodName:     {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRevisions, objects: ofBundle},
	hubv1.FleetService_GetArtifact_FullMethodName:     {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceArtifacts},

	hubv1.FleetService_GetRollout_FullMethodName:     {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_WatchRollout_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_PauseRollout_FullMethodName:   {verb: yardarmv1.VerbSteer, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_ResumeRollout_FullMethodName:  {verb: yardarmv1.VerbSteer, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_ApproveRollout_FullMethodName: {verb: yardarmv1.VerbApprove, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_PromoteRollout_FullMethodName: {verb: yardarmv1.VerbSteer, resource: yardarmv1.ResourceRollouts, objects: ofBundle},
	hubv1.FleetService_RetryRollout_FullMethodName: {verb: yardarmv1.VerbSteer, resource: yardarmv1.ResourceRollouts, objects: ofBundle,
		consequences: []store.Table{store.Reconciliations}},
	hubv1.FleetService_OverrideGates_FullMethodName: {verb: yardarmv1.VerbOverride, resource: yardarmv1.ResourceRollouts, objects: ofBundle},

	hubv1.FleetService_ListGates_FullMethodName:  {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceGates},
	hubv1.FleetService_GetGate_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceGates},
	hubv1.FleetService_DeleteGate_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceGates},

	hubv1.FleetService_ListStrategies_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceStrategies},
	hubv1.FleetService_GetStrategy_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceStrategies},
	hubv1.FleetService_DeleteStrategy_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceStrategies, objects: whole},

	hubv1.FleetService_ListAssignments_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAssignments, objects: assignments},
	hubv1.FleetService_GetAssignment_FullMethodName:     {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAssignments, objects: assignments},
	hubv1.FleetService_PreviewAssignment_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceArtifacts, objects: assignments},
	hubv1.FleetService_GetExplanation_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAssignments, objects: assignments},
	hubv1.FleetService_GetHistory_FullMethodName:        {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAssignments, objects: assignments},
	hubv1.FleetService_Accept_FullMethodName:            {verb: yardarmv1.VerbAccept, resource: yardarmv1.ResourceAssignments, objects: assignments},
	hubv1.FleetService_Reconcile_FullMethodName:         {verb: yardarmv1.VerbReconcile, resource: yardarmv1.ResourceAssignments, objects: assignments},

	hubv1.FleetService_ListProblems_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAssignments, objects: assignments},

	hubv1.FleetService_GetFacets_FullMethodName:     {verb: yardarmv1.VerbGet, objects: watched},
	hubv1.FleetService_Watch_FullMethodName:         {verb: yardarmv1.VerbGet, objects: watched},
	hubv1.FleetService_WatchOverview_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceClusters},
	hubv1.FleetService_WatchEvents_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceEvents},

	hubv1.FleetService_ListAudit_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceAudit, objects: whole},

	hubv1.FleetService_CreateToken_FullMethodName: {verb: yardarmv1.VerbCreate, resource: yardarmv1.ResourceTokens, objects: whole,
		consequences: []store.Table{store.RoleBindings}},
	hubv1.FleetService_ListTokens_FullMethodName: {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceTokens, objects: whole},
	hubv1.FleetService_GetToken_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceTokens, objects: whole},
	hubv1.FleetService_RevokeToken_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceTokens, objects: whole,
		consequences: []store.Table{store.RoleBindings}},
	hubv1.FleetService_WhoAmI_FullMethodName: {anybody: true},
	hubv1.FleetService_CanI_FullMethodName:   {anybody: true},

	hubv1.FleetService_ListRoles_FullMethodName:         {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRoles, objects: whole},
	hubv1.FleetService_GetRole_FullMethodName:           {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRoles, objects: whole},
	hubv1.FleetService_DeleteRole_FullMethodName:        {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceRoles, objects: whole},
	hubv1.FleetService_ListRoleBindings_FullMethodName:  {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRoleBindings, objects: whole},
	hubv1.FleetService_GetRoleBinding_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceRoleBindings, objects: whole},
	hubv1.FleetService_DeleteRoleBinding_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceRoleBindings, objects: whole},

	hubv1.FleetService_ListNotifications_FullMethodName:  {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceNotifications, objects: whole},
	hubv1.FleetService_GetNotification_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceNotifications, objects: whole},
	hubv1.FleetService_DeleteNotification_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceNotifications, objects: whole},
	// It sends what whoever may apply one has sent anyway.
	hubv1.FleetService_TestNotification_FullMethodName: {verb: yardarmv1.VerbApply, resource: yardarmv1.ResourceNotifications, objects: whole},

	hubv1.FleetService_ListSourceCredentials_FullMethodName:   {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceSourceCredentials, objects: whole},
	hubv1.FleetService_GetSourceCredentials_FullMethodName:    {verb: yardarmv1.VerbGet, resource: yardarmv1.ResourceSourceCredentials, objects: whole},
	hubv1.FleetService_DeleteSourceCredentials_FullMethodName: {verb: yardarmv1.VerbDelete, resource: yardarmv1.ResourceSourceCredentials, objects: whole},
}

// whole is what is one, or belongs to no bundle and no cluster.
func whole(any) []object { return []object{{}} }

func namedCluster(req any) []object {
	return []object{{cluster: req.(interface{ GetName() string }).GetName()}}
}

func newCluster(req any) []object {
	return []object{{cluster: req.(*hubv1.EnrollClusterRequest).GetName(), makes: true}}
}

func namedGroup(req any) []object {
	return []object{{group: req.(interface{ GetName() string }).GetName()}}
}

func namedBundle(req any) []object {
	return []object{{bundle: req.(interface{ GetName() string }).GetName()}}
}

func ofBundle(req any) []object {
	return []object{{bundle: req.(interface{ GetBundle() string }).GetBundle()}}
}

// inGroup is the group that a list of clusters is narrowed to.
func inGroup(req any) []object {
	if group := req.(*hubv1.ListClustersRequest).GetGroup(); group != "" {
		return []object{{membersOf: group}}
	}
	return nil
}

// assignments are those of a cluster, of a bundle, or of both; without either, what is answered is narrowed to what may be seen.
func assignments(req any) []object {
	r := req.(interface {
		GetCluster() string
		GetBundle() string
	})
	if r.GetCluster() == "" && r.GetBundle() == "" {
		return nil
	}
	return []object{{cluster: r.GetCluster(), bundle: r.GetBundle()}}
}

// published is what a publication names; the messages after the first name nothing.
func published(req any) []object {
	p := req.(*hubv1.PublishRevisionRequest).GetPublication()
	if p == nil {
		return nil
	}
	return []object{{bundle: p.GetBundle(), targets: p.GetGroups(), makes: true}}
}

// applied is what a call of Apply names.
func applied(req any) (objects []object) {
	for _, r := range req.(*hubv1.ApplyRequest).GetResources() {
		kind, meta := describe(r)
		o := object{resource: resourceOf[kind], makes: true}
		switch kind {
		case yardarmv1.KindCluster:
			o.cluster, o.makes = meta.GetName(), false
		case yardarmv1.KindClusterGroup:
			o.group = meta.GetName()
		case yardarmv1.KindBundle:
			o.bundle, o.labels = meta.GetName(), meta.GetLabels()
			o.targets = groupsOf(r.GetBundle().GetSpec().GetTargets())
		case yardarmv1.KindGate:
			o.any = true // what it may be about is judged when it is written
		case "":
			continue // which is refused for what it is
		}
		objects = append(objects, o)
	}
	return objects
}

// watched is the kind that a watch or a count is about; what it shows is narrowed to what may be seen.
func watched(req any) []object {
	resource, ok := resourceOf[req.(interface{ GetKind() string }).GetKind()]
	if !ok {
		return nil // which is refused for what it is
	}
	return []object{{resource: resource, any: true}}
}

// resourceOf is what rules call a kind.
var resourceOf = map[string]string{
	yardarmv1.KindCluster:           yardarmv1.ResourceClusters,
	yardarmv1.KindClusterGroup:      yardarmv1.ResourceClusterGroups,
	yardarmv1.KindBundle:            yardarmv1.ResourceBundles,
	yardarmv1.KindRevision:          yardarmv1.ResourceRevisions,
	yardarmv1.KindAssignment:        yardarmv1.ResourceAssignments,
	yardarmv1.KindRollout:           yardarmv1.ResourceRollouts,
	yardarmv1.KindGate:              yardarmv1.ResourceGates,
	yardarmv1.KindRole:              yardarmv1.ResourceRoles,
	yardarmv1.KindRoleBinding:       yardarmv1.ResourceRoleBindings,
	yardarmv1.KindNotification:      yardarmv1.ResourceNotifications,
	yardarmv1.KindStrategy:          yardarmv1.ResourceStrategies,
	yardarmv1.KindSourceCredentials: yardarmv1.ResourceSourceCredentials,
}
