// Package rollout takes the clusters of a bundle from revision to revision, stage by stage.
//
// What happens next follows from three things alone: how the rollout stands, what is known of its clusters, and for how long it
// has been so. [Rollout.Advance] is that function. It reads no clock, no store and no randomness: times are readings of a
// monotonic clock that its caller passes in, so that no soak is completed and no deadline missed because somebody set a clock. Such readings do not outlive the
// hub: after its restart, soaks and deadlines begin anew rather than count as passed.
//
// A cluster is always in one [State], and its state says which revision it is to run ([Rollout.Runs]). Whoever derives
// assignments asks that, and nothing else; so a rollout that is lost, or that this hub cannot read, changes no cluster.
//
// hub/rollout/drive brings both together: it reads rollouts and what is known of their clusters from the store, and writes there what has come of them.
// What people do to a rollout is [Steer]'s, and when nothing may move at all is hub/rollout/gate's.
package rollout
