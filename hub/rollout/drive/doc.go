// Package drive takes all rollouts of a store forward, by the rules of hub/rollout, which are pure: it reads how they stand and what is known of their clusters,
// has them advance, and writes what has come of it. What clusters are to run follows from that (hub/placement), and reaches them by hub/dispatch. It speaks to
// no spoke and to no caller: both meet it in the store.
package drive
