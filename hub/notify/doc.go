// Package notify tells receivers, by webhooks, what becomes of rollouts, and what comes and goes in the fleet: each as often as it takes until it has said that it has it, and none held up by another.
//
// There is no queue of events. What is to be told follows from how things stand in the store (rollout.go, occasion.go), less what the receiver has taken already, which the store keeps as
// well. So a receiver that was away for a week gets the present state of each rollout once, a hub that restarts goes on where it was, and what waits
// for a receiver is bounded by how many bundles there are. An event's id is made of what it is about alone, so that it is the same each time it is told: also after a
// crash that has lost the last seconds of what was taken.
//
// Drift, failures after a rollout and stale clusters flap, and come by the thousand. They are told as occasions, of a bundle or of the fleet, which begin and end with some
// delay; fleet.go notes them in the store before they are told.
//
// The package changes nothing but what it notes as told. The composition root runs a Notifier; hub/api asks it for the status of notifications, and to try one.
package notify
