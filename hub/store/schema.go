package store

import memdb "github.com/hashicorp/go-memdb"

// tables lists every table, in the order in which they are loaded.
func tables() []anyTable {
	return []anyTable{metaTable, clusters, groups, bundles, revisions, artifacts, identities, tokens, credentials, secrets, answers,
		roles, roleBindings, gates, deletedBundles, deletedClusters, acceptances, reconciliations, rollouts, rolloutMembers, turns, notifications, strategies, sourceCredentials, credentialUses, tolds, observed, observedBundles, events, presences, sources, members}
}

func schema() *memdb.DBSchema {
	s := &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{}}
	for _, t := range tables() {
		s.Tables[t.table().String()] = t.schema()
	}
	return s
}

// metaRow is what snapshots carry about the database itself.
type metaRow struct{ index uint64 }

var metaTable = &table[metaRow]{id: meta, durability: memory, key: func(*metaRow) string { return metaKey }}

// metaKey is the key of the only row of meta.
const metaKey = "meta"
