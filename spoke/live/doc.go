// Package live knows what the API server says of the objects that bundles have applied: for each kind in use, one list and one
// watch of metadata, selected by the label that every applied object bears. Of each object it keeps some 100 bytes; objects
// of others cost nothing.
//
// An edit is told from the chatter of controllers by our entry in the object's managedFields: whoever changes a field that we
// applied takes it out of that entry, while changes of status and of fields that we do not set leave it as it was. So drift is
// seen without reading objects, and an object that nobody touched needs no request at all.
//
// It decides nothing: reconcile says which kinds are in use, compares with what it applied, and is told what changed.
package live
