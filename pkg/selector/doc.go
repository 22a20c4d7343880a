// Package selector selects clusters: by their labels, in the grammar that Kubernetes uses for label selectors, or by a CEL expression over
// name, labels and facts. It also holds the rules for the labels and names themselves, since a selector can only name what may exist.
//
//	[Parse], [New]            →  [Selector]    env=prod,region in (eu,us),!legacy
//	[Compile]                 →  [Expression]  labels.env == "prod" && facts.nodes >= 3
//	[Terms]                   →  [Term]        the same grammar with fields beside labels, for the filters of lists
//	[ValidateLabels], [ValidateName]
//
// Cluster groups are made of these. Placement evaluates them for each cluster, the API validates them when a group is written, and the CLI before
// it sends one. Selectors and expressions are values of their text: they keep no state, read no clock, and give the same answer to the same
// cluster everywhere.
//
// The package imports nothing of k8s.io: the hub's store and placement, which depend on it, have nothing to do with Kubernetes' API
// machinery. Agreement with Kubernetes' own parser is tested instead.
package selector
