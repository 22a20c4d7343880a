package store

import memdb "github.com/hashicorp/go-memdb"

// tables lists every table, in the order in which they are loaded.
func tables() []anyTable {
	return []anyTable{clusters, groups, bundles, revisions, artifacts, identities, tokens, credentials, secrets, answers,
		roles, roleBindings, gates, deletedBundles, deletedClusters, acceptances, reconciliations, rollouts, rolloutMembers, turns, notifications, strategies, sourceCredentials, credentialUses, tolds, observed, observedBundles, events, presences, sources, members}
}

func schema() *memdb.DBSchema {
	s := &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{}}
	for _, t := range tables() {
		for _, one := range t.schemas() {
			s.Tables[one.Name] = one
		}
	}
	return s
}

// metaKey is the key of the row about the database itself, in the bucket meta.
const metaKey = "meta"
