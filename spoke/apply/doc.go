// Package apply writes a bundle's objects to the API server, and takes them away again.
//
//	Render   which objects, in which namespaces, with which label and annotation; what cannot be applied at all
//	Apply    server-side apply, in stages and as each object's delivery says: what it may take over, from whom, and what it may
//	         delete to make it anew; DryRun the same without writing
//	Prune    deletion in reverse order, of what still is the bundle's
//	Release  letting objects go unmanaged
//
// It keeps no memory between calls: which objects to write, skip or delete is reconcile's to say, from inventory and live state. An
// error of one object is a [Problem] of that object, with what to do; it stops no other.
package apply
