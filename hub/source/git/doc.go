// Package git reads directories of Git repositories: it asks a server for its refs, fetches the commits that are new, as shallow as they come, into a cache on
// disk, and shows their trees as file systems. Objects, packs and the messages of the protocol are go-git's. Connections are made here, since each address is
// checked when it is dialled, and no answer may be longer than was said.
//
//	refs (one request) ─▶ Resolve: which commit ─▶ in the cache? ─▶ pack (one more) ─▶ DIR/objects/pack, DIR/shallow
//	                                                    └──────────── Tree: an fs.FS ◀──────────────┘
//
// A pack is read through before any of it is kept, and what has to be signed is verified before it is read. Submodules, where they are wanted, have caches of their own below
// that of their repository, and are directories of its tree.
//
// Nothing is checked out, and nothing that a repository holds is ever run: no hook, no filter, no configuration. The package knows no bundles and no store; package source
// does.
package git
