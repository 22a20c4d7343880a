// What the hub answers, as JSON: the messages of proto/, as far as the pages read them. Fields that are zero are not there.

export interface Meta {
  name: string;
  uid?: string;
  labels?: Record<string, string>;
  resourceVersion?: string;
  creationTimestamp?: string;
}

export interface PhaseCounts {
  total?: number;
  ready?: number;
  progressing?: number;
  failed?: number;
  held?: number;
  pending?: number;
  stale?: number;
  neverConnected?: number;
  drifted?: number;
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export interface Facts {
  kubernetesVersion?: string;
  distribution?: string;
  provider?: string;
  region?: string;
  nodes?: number;
  capacity?: Record<string, string>;
}

export interface Cluster {
  metadata: Meta;
  spec?: { ban?: { reason?: string; time?: string; actor?: string }; removal?: { workloads?: string; time?: string; actor?: string } };
  status: {
    presence: string;
    presenceSince?: string;
    lastSeen?: string;
    facts?: Facts;
    spokeVersion?: string;
    certificateExpiry?: string;
    confirmed?: boolean;
    bundles?: PhaseCounts;
    groups?: string[];
    conditions?: Condition[];
    phase: string;
    state: string;
  };
}

export interface Bundle {
  metadata: Meta;
  spec?: { targets?: Target[]; delivery?: Record<string, unknown>; source?: Source };
  status: { latestRevision?: number; revision?: number; digest?: string; clusters?: PhaseCounts; rollout?: RolloutSummary; source?: SourceStatus };
}

/** Source is where a bundle's revisions come from: one of three. */
export interface Source {
  git?: Repository & { ref?: Ref; path?: string; verify?: { mode?: string; signers?: { name: string }[] } };
  helm?: Repository & { chart?: string; version?: string };
  oci?: Repository & { ref?: Ref; path?: string };
  variants?: { name: string }[];
}

interface Repository {
  url: string;
  interval?: string;
  credentials?: string;
}

/** Ref is which commit or artifact; one of them. */
export type Ref = Partial<Record<"branch" | "tag" | "semver" | "commit" | "digest", string>>;

/** SourceStatus is what the hub has found where a bundle comes from. */
export interface SourceStatus {
  commit?: string;
  author?: string;
  subject?: string;
  ref?: string;
  digest?: string;
  /** Whose signature was checked, and their key's fingerprint. */
  signer?: string;
  asOf?: string;
  problem?: { reason: string; message?: string; commit?: string; digest?: string; file?: string; line?: number; since?: string };
  held?: string;
}

export interface RolloutSummary {
  revision?: number;
  phase: string;
  waitsFor?: string;
  stage?: string;
  failure?: string;
}

export interface ClusterGroup {
  metadata: Meta;
  status: { clusters?: number; bundles?: string[]; conditions?: Condition[] };
}

/** One of a revision's artifacts. What is rendered without a variant has no name. */
export interface Variant {
  name?: string;
  digest: string;
  size?: string;
  objects?: number;
}

/** Target is a group that a bundle is for, and what it gets. */
export interface Target {
  group: string;
  variant?: string;
}

export interface Revision {
  metadata: Meta;
  spec: {
    bundle: string;
    number: number;
    digest: string;
    size?: string;
    objects?: number;
    variants?: Variant[];
    /** With variants, all that there were. */
    targets?: Target[];
    provenance?: Provenance;
  };
}

/** Provenance is where a revision comes from; signer is as in SourceStatus. */
export interface Provenance {
  actor?: string;
  message?: string;
  source?: string;
  commit?: string;
  time?: string;
  undoOf?: number;
  author?: string;
  ref?: string;
  digest?: string;
  signer?: string;
  bases?: string[];
}

export interface Problem {
  object: string;
  reason?: string;
  message?: string;
  since?: string;
  file?: string;
}

export interface Drift {
  object: string;
  path?: string;
  desired?: string;
  live?: string;
  manager?: string;
  since?: string;
  corrected?: string;
  reason?: string;
  file?: string;
}

export interface Report {
  revision?: number;
  phase: string;
  reason?: string;
  message?: string;
  objects?: { total?: number; applied?: number; ready?: number; failed?: number; pruning?: number; drifted?: number };
  problems?: Problem[];
  drift?: Drift[];
  since?: string;
  conditions?: Condition[];
}

export interface Assignment {
  metadata: Meta;
  spec: { cluster: string; bundle: string; revision?: number; digest?: string; variant?: string };
  status: { phase: string; reason?: string; message?: string; report?: Report; asOf?: string };
}

export interface Event {
  sequence: string;
  time: string;
  type: string;
  reason: string;
  message?: string;
  cluster?: string;
  bundle?: string;
  revision?: number;
  actor?: string;
}

export interface Facet {
  name: string;
  values?: { value: string; count: number }[];
  others?: number;
  none?: number;
}

export interface Facets {
  totalSize?: number;
  facets?: Facet[];
}

export interface Hub {
  version: string;
  fleet: string;
  cursor: string;
  spokeAddresses?: string[];
  caPin?: string;
  readOnly?: string;
  started?: string;
  sessions?: number;
}

export interface Who {
  actor: string;
  expires?: string;
  roleBindings?: RoleBinding[];
}

export interface Role {
  metadata: Meta;
  spec?: { description?: string; rules?: { verbs: string[]; resources: string[] }[] };
}

/** LabelSelector is in the grammar of Kubernetes. An empty one selects everything. */
export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface Scope {
  names?: string[];
  selector?: LabelSelector;
}

export interface RoleBinding {
  metadata: Meta;
  spec: { role: string; subjects?: { kind: string; name: string }[]; bundles?: Scope; clusterGroups?: Scope };
}

/** SourceCredentials are what the hub shows to servers of sources; their secrets are never answered. */
export interface SourceCredentials {
  metadata: Meta;
  spec?: { urls?: string[]; username?: string; ca?: string; bundles?: Scope };
  status?: { holds?: string[]; actor?: string; bundles?: string[] };
}

export interface Token {
  metadata: Meta;
  status: { prefix?: string; actor?: string; expires?: string; lastUsed?: string; roles?: string[] };
}

/** Publication is what becomes of a revision that is made, or, after a dry run, what would. */
export interface Publication {
  revision?: Revision;
  clusters?: number;
  warnings?: string[];
  diff?: { parts?: DiffPart[]; unchanged?: number; notCompared?: number };
  plan?: { stages?: { name: string; clusters?: number }[] };
}

/** DiffPart are clusters of a group in which the same changes. */
export interface DiffPart {
  group?: string;
  clusters?: number;
  examples?: string[];
  problem?: string;
  objects?: { object: string; fields?: { path: string; before?: string; after?: string }[] }[];
}

/** Page is one answer of a list. */
export interface Page {
  nextPageToken?: string;
  totalSize?: number;
}

export interface SharedTrait {
  type: string;
  key: string;
  value: string;
  failing?: number;
  failingTotal?: number;
  others?: number;
  othersTotal?: number;
}

export interface Cause {
  phase: string;
  reason?: string;
  kind?: string;
  message?: string;
  bundles?: string[];
  clusters?: number;
  unheardClusters?: number;
  unheardSince?: string;
  since?: string;
  examples?: { cluster: string; bundle: string; revision?: number; object?: string; message?: string; since?: string; asOf?: string }[];
  shared?: SharedTrait[];
}

export interface Problems {
  problems?: Cause[];
  totalSize?: number;
  failingClusters?: number;
  clusters?: number;
}

export interface Explanation {
  revision?: number;
  reason?: string;
  answer?: string;
  remedy?: string;
  steps?: { name: string; done?: boolean; reason?: string; message?: string; time?: string }[];
}

export interface StageStatus {
  name: string;
  clusters?: number;
  waiting?: number;
  away?: number;
  given?: number;
  done?: number;
  failed?: number;
  failedBefore?: number;
  lost?: number;
  returning?: number;
  returned?: number;
  concurrency?: number;
  failureBudget?: number;
  approval?: string;
  approved?: boolean;
}

/** Stage is what was asked for; durations are as in "300s". */
export interface Stage {
  name?: string;
  soak?: string;
  progressDeadline?: string;
  approval?: string;
}

export interface RolloutCluster {
  cluster: string;
  stage?: string;
  state: string;
  revision?: number;
  fromRevision?: number;
  goodRevision?: number;
  failedBefore?: boolean;
  away?: boolean;
  since?: string;
  /** When time alone decides about it. */
  due?: string;
  reason?: string;
  message?: string;
}

/** RolloutPace is how long clusters took; durations are as in "40s". */
export interface RolloutPace {
  clusters?: number;
  median?: string;
  slowest?: string;
  slowestCluster?: string;
}

/** RolloutNames are clusters, of which the caller may see those that are named. */
export interface RolloutNames {
  clusters?: number;
  names?: string[];
}

export interface RolloutGate {
  gate: string;
  type: string;
  clusters?: number;
  reason?: string;
  actor?: string;
  opens?: string;
}

/** Gate is a freeze, or a window of time. */
export interface Gate {
  metadata: Meta;
  spec?: { bundles?: Scope; groups?: string[]; clusters?: Scope; reason?: string; freeze?: { until?: string }; window?: { effect: string; schedule: string; duration: string; timeZone?: string } };
  status: { actor?: string; written?: string; state: string; changes?: string; times?: { begins?: string; ends: string }[] };
}

/** AuditEntry is one change, and who made it, or counts calls that were denied. */
export interface AuditEntry {
  sequence: string;
  time: string;
  actor: string;
  address?: string;
  requestId?: string;
  action: string;
  changes?: AuditChange[];
  moreChanges?: number;
  denials?: { actor?: string; address?: string; action: string; reason: string; calls: string; last: string; requestId?: string }[];
}

export interface AuditChange {
  kind: string;
  name?: string;
  outcome: string;
}

export interface AuditPage extends Page {
  entries?: AuditEntry[];
  newest?: string;
}

/** Notification is somebody who is told; its secrets are never answered. */
export interface Notification {
  metadata: Meta;
  spec?: { severity?: string; bundles?: string[]; clusterGroups?: string[]; topics?: string[] };
  status?: { host?: string; lastDelivered?: string; failures?: number; error?: string; nextTry?: string; pending?: number };
}

export interface Rollout {
  spec: { bundle: string; revision?: number; strategy?: { stages?: Stage[]; onFailure?: string } };
  status: {
    phase: string;
    waitsFor?: string;
    confirmation?: string;
    stage?: string;
    stages?: StageStatus[];
    settledRevision?: number;
    failure?: string;
    begun?: string;
    since?: string;
    actions?: { action: string; actor?: string; time?: string; stage?: string; message?: string }[];
    clusters?: RolloutCluster[];
    gates?: RolloutGate[];
    gatesOverridden?: boolean;
    pace?: RolloutPace;
    away?: RolloutNames;
    late?: RolloutNames;
    joined?: RolloutNames;
    /** The revision that was under way when it began. */
    supersedes?: number;
    origins?: { revision?: number; clusters?: number }[];
  };
}
