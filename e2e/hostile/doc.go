// Package hostile tests what a spoke does when its hub is an enemy: one that has the CA's key and the spokes' trust, and sends whatever it
// likes over the real stream. The spoke is the whole of package spoke, on a real API server. After each attack the spoke
// has told what it refused, and a full listing of the cluster is what it was before.
package hostile
