// Package inventory keeps, in the cluster itself, which objects each bundle has applied there. Nothing else says what may be
// deleted when it leaves a bundle: neither what a hub last sent nor what happens to bear a label.
//
// An inventory is written before objects are: with those that it had and those that are about to come, so that a spoke which dies in
// between still knows of every object that it may have made. Afterwards it is written again as it came out. It is small and
// compressed, and it is the spoke's own: reconcile holds it in memory, and a conflict at writing means that a second spoke is at
// work, which must not go on.
package inventory
