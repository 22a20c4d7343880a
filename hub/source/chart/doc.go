// Package chart takes Helm charts from repositories of the usual kind: an index.yaml on a web server, and the archives that it names.
//
//	index.yaml (one request, conditional) ─▶ which version ─▶ known? ─▶ archive (one more) ─▶ package archive: an fs.FS
//
// Charts that depend on others have them in their archive, as `helm package` makes it. Charts in OCI registries are artifacts like others: package oci takes them.
package chart
