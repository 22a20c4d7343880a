package yardarmv1

// APIVersion is the apiVersion of every resource.
const APIVersion = "yardarm.dev/v1"

// CustomizationLanguage is the newest version of the language of customizations that pkg/manifest/customize evaluates. Spokes say in
// Hello which one they know, and the hub assigns nothing above it.
const CustomizationLanguage = 1

// Kinds of resources.
const (
	KindCluster      = "Cluster"
	KindClusterGroup = "ClusterGroup"
	KindBundle       = "Bundle"
	KindRevision     = "Revision"
	KindAssignment   = "Assignment"
	KindRole         = "Role"
	KindRoleBinding  = "RoleBinding"
	KindToken        = "Token"
	KindRollout      = "Rollout"
	KindGate         = "Gate"
	KindNotification = "Notification"
	KindStrategy     = "Strategy"
	// KindSourceCredentials has no plural of its own.
	KindSourceCredentials = "SourceCredentials"
)

// Verbs of rules.
const (
	VerbGet       = "get"
	VerbApply     = "apply"
	VerbCreate    = "create"
	VerbDelete    = "delete"
	VerbPublish   = "publish"
	VerbUndo      = "undo"
	VerbSteer     = "steer"
	VerbApprove   = "approve"
	VerbLabel     = "label"
	VerbEnroll    = "enroll"
	VerbBan       = "ban"
	VerbAccept    = "accept"
	VerbReconcile = "reconcile"
	VerbBackup    = "backup"
	VerbRotate    = "rotate"
	VerbOverride  = "override"
)

// Resources of rules. Artifacts are what revisions and assignments hold: the manifests themselves.
const (
	ResourceHub               = "hub"
	ResourceClusters          = "clusters"
	ResourceClusterGroups     = "clustergroups"
	ResourceBundles           = "bundles"
	ResourceRevisions         = "revisions"
	ResourceArtifacts         = "artifacts"
	ResourceAssignments       = "assignments"
	ResourceRollouts          = "rollouts"
	ResourceEvents            = "events"
	ResourceAudit             = "audit"
	ResourceRoles             = "roles"
	ResourceRoleBindings      = "rolebindings"
	ResourceTokens            = "tokens"
	ResourceGates             = "gates"
	ResourceNotifications     = "notifications"
	ResourceStrategies        = "strategies"
	ResourceSourceCredentials = "sourcecredentials"
)

// Types of renderings.
const (
	RenderPlain     = "plain"
	RenderKustomize = "kustomize"
	RenderHelm      = "helm"
)

// What becomes of hooks in a rendering.
const (
	HooksRefuse = "refuse"
	HooksSkip   = "skip"
)

// Reasons why a source gives no revision.
const (
	SourceUnreachable   = "Unreachable"
	SourceNotTrusted    = "NotTrusted"
	SourceDenied        = "AuthenticationFailed"
	SourceNotAllowed    = "NotAllowed"
	SourceNotFound      = "RepositoryNotFound"
	SourceRefNotFound   = "RefNotFound"
	SourceTooLarge      = "TooLarge"
	SourceNoCredentials = "CredentialsMissing"
	SourceNotSigned     = "SignatureRefused"
	SourceNotRendered   = "RenderingFailed"
	SourceRefused       = "PublicationRefused"
	SourceHub           = "HubFailed"
)

// SourceReasons are all of them.
var SourceReasons = []string{
	SourceUnreachable, SourceNotTrusted, SourceDenied, SourceNotAllowed, SourceNotFound, SourceRefNotFound, SourceTooLarge, SourceNoCredentials, SourceNotSigned,
	SourceNotRendered, SourceRefused, SourceHub,
}

// What a source of Git may want to be signed.
const (
	VerifyCommit = "commit"
	VerifyTag    = "tag"
)

// What source credentials hold: the secrets among their fields.
const (
	HoldsBearerToken   = "bearerToken"
	HoldsPassword      = "password"
	HoldsPrivateKey    = "privateKey"
	HoldsWebhookSecret = "webhookSecret"
)

// Any in a rule stands for all verbs, or all resources.
const Any = "*"

// Topics of notifications.
const (
	// TopicApproval: a stage of a rollout waits for one.
	TopicApproval = "approval"
	// TopicConvergence: a revision has come to the end of its rollout, or a bundle is again as it should be.
	TopicConvergence = "convergence"
	// TopicDivergence: a bundle is not as it should be in some clusters, with its rollout over.
	TopicDivergence = "divergence"
	// TopicFailure: a rollout stops, or goes back.
	TopicFailure = "failure"
	// TopicRollback: the clusters that a rollout had reached are to run again what was good there.
	TopicRollback = "rollback"
	// TopicStale: clusters have not been heard of.
	TopicStale = "stale"
	// TopicTest: somebody wants to see whether it arrives.
	TopicTest = "test"
)

// Severities of notifications, the least first.
const (
	SeverityInfo    = "info"
	SeverityWarning = "warning"
	SeverityError   = "error"
)

// Formats of notifications.
const (
	FormatJSON  = "json"
	FormatSlack = "slack"
)

// Kinds of subjects.
const (
	SubjectUser  = "User"
	SubjectGroup = "Group"
	SubjectToken = "Token"
)

// Presence of a cluster, by the hub's clock.
const (
	PresenceConnected      = "Connected"
	PresenceStale          = "Stale"
	PresenceNeverConnected = "NeverConnected"
	// PresenceUnknown is the presence of a cluster that was connected before the hub started and has not come back within
	// the grace period that is still running.
	PresenceUnknown = "Unknown"
)

// Phases of a bundle in a cluster. Spokes report the first seven; the hub adds the others from presence.
const (
	// PhasePending: nothing has been done yet; the content is on its way, or no report about this assignment is known.
	PhasePending = "Pending"
	// PhaseProgressing: objects are being applied, or have been and are not ready yet.
	PhaseProgressing = "Progressing"
	// PhaseReady: every object is applied and healthy, and nothing is left to prune.
	PhaseReady = "Ready"
	// PhaseDegraded: every object is applied, and some are unhealthy.
	PhaseDegraded = "Degraded"
	// PhaseFailed: some object could not be applied, or nothing could be done at all.
	PhaseFailed = "Failed"
	// PhaseHeld: the spoke keeps what it has until an operator decides.
	PhaseHeld = "Held"
	// PhaseRemoving: the bundle's objects are being removed.
	PhaseRemoving = "Removing"

	PhaseStale          = "Stale"
	PhaseNeverConnected = "NeverConnected"
)

// States of a cluster, in the order in which they are counted and shown.
const (
	StateReady          = "Ready"
	StateProgressing    = "Progressing"
	StateDegraded       = "Degraded"
	StateDrifted        = "Drifted"
	StateStale          = "Stale"
	StateNeverConnected = "NeverConnected"
)

// Phases of a cluster.
const (
	ClusterEnrolling = "Enrolling"
	ClusterActive    = "Active"
	ClusterBanned    = "Banned"
	ClusterDeleting  = "Deleting"
	// ClusterDeleted is in histories only.
	ClusterDeleted = "Deleted"
)

// Reasons that hub and spoke share. Others are named where they arise.
const (
	// Why a holding is held.
	ReasonUnknownToHub = "UnknownToHub"
	ReasonNewerThanHub = "NewerThanHub"
	ReasonLeftByFact   = "LeftByFact"
	ReasonMassDeletion = "MassDeletion"

	// Why one that is ready is not all that it is to be: its rollout has not brought the bundle's latest revision to it.
	ReasonBehind = "Behind"
	// Its rollout has yet to reach the cluster for the first time.
	ReasonAwaitsRollout = "AwaitsRollout"
	// The revision that it is to run has nothing for the variant that its target names, until the bundle's source has come to it.
	ReasonAwaitsVariant = "AwaitsVariant"

	// What the spoke's own policy makes of a bundle, and what no operator at the hub can change: it lets nothing be written now
	// (Frozen), or ever (ReadOnly), or not this object, or not as this service account (PolicyDenied).
	ReasonFrozen       = "Frozen"
	ReasonReadOnly     = "ReadOnly"
	ReasonPolicyDenied = "PolicyDenied"

	// Why a report is without its details: those of the cluster's bundles together are more than the hub keeps of one.
	ReasonStatusLimit = "StatusLimit"

	// Why drift stands that the bundle's policy, or the object's annotation, only wants to be told of.
	ReasonReportOnly = "ReportOnly"

	// Why a tombstone was sent.
	ReasonBundleDeleted    = "BundleDeleted"
	ReasonClusterDeleted   = "ClusterDeleted"
	ReasonNoLongerTargeted = "NoLongerTargeted"
)

// Steps of an explanation, in order.
const (
	// StepMatched: a group that the bundle targets has the cluster, and the bundle has a revision.
	StepMatched = "Matched"
	// StepAllowed: nothing holds the revision back from it.
	StepAllowed = "Allowed"
	// StepAssigned: it is to run the revision.
	StepAssigned = "Assigned"
	// StepSent: the hub has sent the assignment.
	StepSent = "Sent"
	// StepPersisted: the spoke has acknowledged it, and has its content.
	StepPersisted = "Persisted"
	// StepApplied: every object is applied.
	StepApplied = "Applied"
	// StepReady: every object is ready.
	StepReady = "Ready"
)

// Why a cluster is not at a bundle's revision: the reasons of explanations, by the step that is not done.
const (
	WhyReady = "Ready"

	WhyNoRevision      = "NoRevision"
	WhyNoVariant       = "NoVariant"
	WhyNoTargets       = "NoTargets"
	WhyNotSelected     = "NotSelected"
	WhyOutsideByFacts  = "OutsideByFacts"
	WhyClusterDeleting = "ClusterDeleting"
	WhyLeaving         = "Leaving"

	WhyRolloutPending       = "RolloutPending"
	WhyWaitsForStage        = "WaitsForStage"
	WhyWaitsForApproval     = "WaitsForApproval"
	WhyWaitsForConfirmation = "WaitsForConfirmation"
	WhyWaitsForTurn         = "WaitsForTurn"
	WhyWaitsForSpoke        = "WaitsForSpoke"
	WhyGatedByFreeze        = "GatedByFreeze"
	WhyGatedByWindow        = "GatedByWindow"
	WhyRolloutPaused        = "RolloutPaused"
	WhyRolloutFailed        = "RolloutFailed"
	WhyRollingBack          = "RollingBack"
	WhyRolledBack           = "RolledBack"

	WhyClusterBanned      = "ClusterBanned"
	WhyNotEnrolled        = "NotEnrolled"
	WhyNeverConnected     = "NeverConnected"
	WhyStale              = "Stale"
	WhyHubRestarted       = "HubRestarted"
	WhyHeldSinceRestore   = "HeldSinceRestore"
	WhySpokeTooOld        = "SpokeTooOld"
	WhyContentUnavailable = "ContentUnavailable"
	WhyNotSent            = "NotSent"

	WhyNotAcknowledged = "NotAcknowledged"
	WhySpokeRefuses    = "SpokeRefuses"
	WhyFetchingContent = "FetchingContent"

	WhyNotReported         = "NotReported"
	WhyUnconfirmed         = "Unconfirmed"
	WhyDependency          = "Dependency"
	WhyPolicyDenies        = "PolicyDenies"
	WhyDeletionAsks        = "DeletionAsks"
	WhyCustomizationFailed = "CustomizationFailed"
	WhyApplyFailed         = "ApplyFailed"
	WhyApplying            = "Applying"

	WhyObjectNotReady  = "ObjectNotReady"
	WhyObjectUnhealthy = "ObjectUnhealthy"
)

// WhyReasons are all reasons of explanations.
var WhyReasons = []string{
	WhyReady, WhyNoRevision, WhyNoVariant, WhyNoTargets, WhyNotSelected, WhyOutsideByFacts, WhyClusterDeleting, WhyLeaving,
	WhyRolloutPending, WhyWaitsForStage, WhyWaitsForApproval, WhyWaitsForConfirmation, WhyWaitsForTurn, WhyWaitsForSpoke, WhyGatedByFreeze, WhyGatedByWindow, WhyRolloutPaused, WhyRolloutFailed, WhyRollingBack, WhyRolledBack,
	WhyClusterBanned, WhyNotEnrolled, WhyNeverConnected, WhyStale, WhyHubRestarted, WhyHeldSinceRestore, WhySpokeTooOld, WhyContentUnavailable, WhyNotSent,
	WhyNotAcknowledged, WhySpokeRefuses, WhyFetchingContent,
	WhyNotReported, WhyUnconfirmed, WhyDependency, WhyPolicyDenies, WhyDeletionAsks, WhyCustomizationFailed, WhyApplyFailed, WhyApplying,
	WhyObjectNotReady, WhyObjectUnhealthy,
}

// Types of events and of conditions' statuses.
const (
	EventNormal  = "Normal"
	EventWarning = "Warning"

	ConditionTrue    = "True"
	ConditionFalse   = "False"
	ConditionUnknown = "Unknown"
)

// Values of a delivery policy, and of the annotations that say the same of one object. The first of each is the default.
const (
	TakeoverAlways   = "always"
	TakeoverIfNoDiff = "if-no-diff"
	TakeoverNever    = "never"

	ConflictForce = "force"
	ConflictFail  = "fail"

	DriftCorrect = "correct"
	DriftReport  = "report"
	DriftIgnore  = "ignore"

	DependencyReady   = "ready"
	DependencyApplied = "applied"
)

// Types of a report's conditions.
const (
	// ConditionApplied: every object is applied, and nothing is left to prune.
	ConditionApplied = "Applied"
	// ConditionHealthy: every object that is applied is ready.
	ConditionHealthy = "Healthy"
	// ConditionInSync: no live object differs from what was applied.
	ConditionInSync = "InSync"
	// ConditionPolicyCurrent: the policy that is in force in the cluster is what its file says. It is told while it is False.
	ConditionPolicyCurrent = "PolicyCurrent"
	// ConditionDetailed: problems, drift and conditions are here as the spoke has reported them. The hub tells it while it is False (ReasonStatusLimit).
	ConditionDetailed = "Detailed"
)

// What would become of an object that is tried.
const (
	TrialCreated   = "created"
	TrialChanged   = "changed"
	TrialUnchanged = "unchanged"
	TrialRecreated = "recreated"
	TrialPruned    = "pruned"
	TrialReleased  = "released"
	TrialRefused   = "refused"
	TrialUntried   = "untried"
)

// Why a cluster has tried nothing, and why an object is untried. Others are those of reports.
const (
	// TrialNotConnected: it has no stream, or nothing comes over it.
	TrialNotConnected = "NotConnected"
	// TrialNotTargeted: it would not get the bundle.
	TrialNotTargeted = "NotTargeted"
	// TrialSpokeTooOld: its spoke does not try anything, or not this.
	TrialSpokeTooOld = "SpokeTooOld"
	// TrialNotAnswered: it was asked, and has not answered in time.
	TrialNotAnswered = "NotAnswered"
	// TrialBusy: it has enough to try.
	TrialBusy = "Busy"
	// TrialNotFetched: its spoke could not get the artifact.
	TrialNotFetched = "NotFetched"
	// TrialKindToCome and TrialNamespaceToCome: of an object whose kind, or namespace, the revision itself makes.
	TrialKindToCome      = "KindToCome"
	TrialNamespaceToCome = "NamespaceToCome"
	// TrialNoTime: there was none left for an object.
	TrialNoTime = "NoTime"
)

// Labels and annotations of managed objects.
const (
	// LabelBundle on an object names the bundle that applied it. Watches select by it.
	LabelBundle = "yardarm.dev/bundle"
	// AnnotationOwner on an object is the uid of that bundle.
	AnnotationOwner = "yardarm.dev/owner"
	// AnnotationKeep ("true") on an object keeps it when it leaves its bundle, or the bundle leaves; "false" lets it go though
	// the bundle keeps its objects.
	AnnotationKeep = "yardarm.dev/keep"
	// AnnotationTakeover, AnnotationConflict, AnnotationDrift and AnnotationRecreate ("true" or "false") say of an object what the
	// bundle's delivery policy says of all.
	AnnotationTakeover = "yardarm.dev/takeover"
	AnnotationConflict = "yardarm.dev/conflict"
	AnnotationDrift    = "yardarm.dev/drift"
	AnnotationRecreate = "yardarm.dev/recreate"
	// AnnotationIfNotPresent ("true") on an object has it created where it is not there, and never touched after that: neither
	// changed nor repaired, but made again when it is gone. One that was there before is nobody's, and is not pruned.
	AnnotationIfNotPresent = "yardarm.dev/if-not-present"
	// AnnotationSubstitute ("false") on an object leaves its texts as they are though the bundle substitutes.
	AnnotationSubstitute = "yardarm.dev/substitute"
)

// Phases of a rollout. RolloutPending is one that is about to begin.
const (
	RolloutPending     = "Pending"
	RolloutProgressing = "Progressing"
	RolloutPaused      = "Paused"
	RolloutCompleted   = "Completed"
	RolloutRollingBack = "RollingBack"
	RolloutRolledBack  = "RolledBack"
)

// What a rollout waits for.
const (
	RolloutWaitOperator     = "Operator"
	RolloutWaitApproval     = "Approval"
	RolloutWaitConfirmation = "Confirmation"
	RolloutWaitClusters     = "Clusters"
	RolloutWaitGate         = "Gate"
	RolloutWaitPresence     = "Presence"
	RolloutWaitFailures     = "Failures"
)

// States of a cluster in a rollout.
const (
	MemberWaiting   = "Waiting"
	MemberGiven     = "Given"
	MemberDone      = "Done"
	MemberFailed    = "Failed"
	MemberLost      = "Lost"
	MemberReturning = "Returning"
	MemberReturned  = "Returned"
	MemberLeft      = "Left"
	MemberEntering  = "Entering"
	MemberUnmoved   = "Unmoved"
)

// What somebody does to a rollout.
const (
	ActionPause   = "pause"
	ActionResume  = "resume"
	ActionApprove = "approve"
	// ActionConfirm is an approval of a rollout that waits for a confirmation.
	ActionConfirm = "confirm"
	ActionPromote = "promote"
	ActionRetry   = "retry"
	// ActionOverride lets a revision pass all gates.
	ActionOverride = "override"
)

// What a gate is, what a window does, and how a gate stands.
const (
	GateFreeze = "freeze"
	GateWindow = "window"

	WindowAllow = "allow"
	WindowDeny  = "deny"

	GateOpen = "Open"
	GateShut = "Shut"
)

// Names of strategies that every hub has, and nobody can make others by.
const (
	StrategyDefault   = "default"
	StrategyAllAtOnce = "all-at-once"
)

// What a strategy may say.
const (
	OnFailureRollback = "rollback"
	OnFailurePause    = "pause"

	ApprovalBefore = "before"
	ApprovalAfter  = "after"

	// ShareAll of a stage's clusters, as its concurrency or failure budget.
	ShareAll = "100%"

	// LabelCanary on a cluster, with the value "true", has it among the first that get a revision.
	LabelCanary = "yardarm.dev/canary"
)
