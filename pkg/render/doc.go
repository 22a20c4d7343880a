// Package render makes manifests of a source's files: plain ones, kustomizations and Helm charts.
//
//	source (fs.FS) ──Render──▶ []manifest.File, warnings ──manifest.Parse──▶ *manifest.Set
//
// The hub calls it for the sources of bundles, the command line for `yardarm render` and for what is published from a directory; the spoke never does.
// Nothing of a cluster, of the clock, of the machine or of chance gets into what comes out: the same files and the same Rendering are the same
// objects, at the hub and on a laptop alike.
//
// It fetches nothing: where the files come from is for package hub/source to say.
package render
