package store

import (
	"iter"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Roles are those that people have made; the others are in hub/authz.
var roles = durable(Roles, hard, func(r *yardarmv1.Role) string { return r.GetMetadata().GetName() })

// Role returns the role with the name, or nil.
func (tx *ReadTx) Role(name string) *yardarmv1.Role { return roles.get(tx, name) }

// Roles yields all roles by name.
func (tx *ReadTx) Roles() iter.Seq[*yardarmv1.Role] { return roles.scan(tx, idIndex, "") }

// PutRole inserts or replaces a role and sets its resource version.
func (tx *Tx) PutRole(r *yardarmv1.Role) error {
	if err := tx.stamp(r.GetMetadata()); err != nil {
		return err
	}
	_, err := roles.put(tx, r)
	return err
}

// DeleteRole deletes a role, if there is one with the name. Bindings of it go on to name it.
func (tx *Tx) DeleteRole(name string) error {
	_, err := roles.remove(tx, name)
	return err
}
