// Package worker runs parts of a simulation in processes of their own, so that hub, spokes and floors share no heap, no
// garbage collector and no limit of open files. A worker is this program once more: it dials the socket that it was given and
// then does what it is told, by net/rpc.
package worker
