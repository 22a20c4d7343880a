package store

import (
	"iter"
	"net/url"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// subjectIndex finds bindings by whom they give a role.
	subjectIndex = "subject"
	// roleIndex finds bindings by the role that they give.
	roleIndex = "role"
)

var roleBindings = durable(RoleBindings, hard,
	func(b *yardarmv1.RoleBinding) string { return b.GetMetadata().GetName() },
	by(subjectIndex, func(b *yardarmv1.RoleBinding) []string {
		keys := make([]string, 0, len(b.GetSpec().GetSubjects()))
		for _, s := range b.GetSpec().GetSubjects() {
			keys = append(keys, subjectKey(s.GetKind(), s.GetName()))
		}
		return keys
	}),
	by(roleIndex, func(b *yardarmv1.RoleBinding) []string { return []string{b.GetSpec().GetRole()} }))

// subjectKey has no separator within: the names of users are their identity provider's.
func subjectKey(kind, name string) string { return kind + ":" + url.PathEscape(name) }

// RoleBinding returns the binding with the name, or nil.
func (tx *ReadTx) RoleBinding(name string) *yardarmv1.RoleBinding { return roleBindings.get(tx, name) }

// RoleBindings yields all bindings by name.
func (tx *ReadTx) RoleBindings() iter.Seq[*yardarmv1.RoleBinding] {
	return roleBindings.scan(tx, idIndex, "")
}

// RoleBindingsOf yields the bindings that give a subject a role, by name.
func (tx *ReadTx) RoleBindingsOf(kind, name string) iter.Seq[*yardarmv1.RoleBinding] {
	return roleBindings.scan(tx, subjectIndex, subjectKey(kind, name)+separator)
}

// RoleBindingsTo yields the bindings that give the role, by name. The role need not exist.
func (tx *ReadTx) RoleBindingsTo(role string) iter.Seq[*yardarmv1.RoleBinding] {
	return roleBindings.scan(tx, roleIndex, role+separator)
}

// PutRoleBinding inserts or replaces a binding and sets its resource version.
func (tx *Tx) PutRoleBinding(b *yardarmv1.RoleBinding) error {
	if err := tx.stamp(b.GetMetadata()); err != nil {
		return err
	}
	_, err := roleBindings.put(tx, b)
	return err
}

// DeleteRoleBinding deletes a binding, if there is one with the name.
func (tx *Tx) DeleteRoleBinding(name string) error {
	_, err := roleBindings.remove(tx, name)
	return err
}
