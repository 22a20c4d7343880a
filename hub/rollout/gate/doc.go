// Package gate judges by the gates that people have written whether a bundle's revision may go on to a cluster: freezes and windows, one kind of record.
//
// All of it follows from the gates, from what is asked about, and from the time, which the caller passes in. A [Set] is the gates, a [Moment] how they
// stand at one time and until when they stand so: whoever decides by a Moment looks again then, and needs no other clock. What a revision that may not
// go on means for its rollout is hub/rollout's ([rollout.Gate]).
package gate
