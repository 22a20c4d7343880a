// Package reconcile makes a cluster what its spoke's state says, and keeps it so. Each bundle has a loop of its own:
//
//	content ─▶ render ─▶ plan ─▶ guard ─▶ inventory: old ∪ new ─▶ apply ─▶ prune ─▶ inventory ─▶ health ─▶ report
//	                                │
//	                                └─ held: what the cluster holds is kept up instead
//
// The loop is level-triggered: whatever wakes it (a new assignment, a change that a watch saw, a retry, the resync), it compares what is wanted with
// inventory and live state, and does what differs. A new assignment ends the pass for the old one between two objects.
//
// It needs no hub: everything comes from package state, and reports go to a book that somebody else sends. It decides; packages
// apply, live, health and inventory do.
package reconcile
