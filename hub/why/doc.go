// Package why explains why a cluster is, or is not, at a bundle's revision: it walks from the group that has the cluster to the object that is not
// ready, and stops at the first step that is not done. It derives all from one snapshot of the store and from what the cluster's session says of its
// deliveries, and changes nothing. hub/api shows what it answers; hub/dispatch tells of deliveries.
package why
