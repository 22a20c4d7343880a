// Package spokes runs many spokes in one process: each with an identity, a state, a report book and a session of its own, the
// same code as in a cluster. Only the cluster is played: what is assigned and here is ready at once. Their disks are this
// process's memory, since they stand for disks elsewhere.
package spokes
