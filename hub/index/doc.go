// Package index keeps, beside the store's rows, what lists, facets and watches ask of many resources at once: of each cluster how it and its bundles stand,
// of each bundle and group their counts. Status is derived from rows, so without it each list would derive that of a whole fleet.
//
//	store ── what has changed ──▶ Index ── entries ──▶ lists, facets
//	                                └───── log ──────▶ watches
//
// Entries are immutable. A change of rows makes new entries of what it concerns, and of nothing else, and the log remembers both, so that any number of
// watchers can be told what has changed since they last looked: nothing is queued for any of them, and one that has fallen behind the log starts again. Those who
// look for the same share an [Among], so that each change is looked at once for all of them.
//
// The index follows when it is read: [Index.Read] shows at least what was visible in the store when it was called. hub/api is the only caller.
package index
