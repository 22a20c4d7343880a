// Package oci takes artifacts from OCI registries: charts, as `helm push` makes them, archives of manifests, as `flux push artifact` and others make them, and single
// files, as `oras push` does. Registries' protocol and their way of logging in are oras-go's; connections are made by package reach.
//
//	tag or range ─▶ digest (one request) ─▶ known? ─▶ manifest, layers ─▶ package archive: an fs.FS
//
// Each manifest and each layer is checked against its digest. Images of several platforms are none of its business, and nothing that an artifact holds is run.
package oci
