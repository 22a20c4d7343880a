package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Tokens are in no backup.
var tokens = durable(Tokens, hard, func(t *storev1.EnrolmentToken) string { return t.GetId() },
	by(clusterIndex, func(t *storev1.EnrolmentToken) []string { return []string{t.GetClusterUid()} }).
		in(ofFirstDigits, func(t *storev1.EnrolmentToken) ends { return ends{t.GetClusterUid(), t.GetId()} })).
	in(ofFirstDigits, func(t *storev1.EnrolmentToken) ends { return ends{last: t.GetId()} })

// Token returns the enrolment token with the id, or nil.
func (tx *ReadTx) Token(id string) *storev1.EnrolmentToken { return tokens.get(tx, id) }

// Tokens yields all enrolment tokens by id.
func (tx *ReadTx) Tokens() iter.Seq[*storev1.EnrolmentToken] { return tokens.scan(tx, idIndex, "") }

// TokensOf yields the enrolment tokens of a cluster, by id: of thousands that enrol, one costs no look at those of the others.
func (tx *ReadTx) TokensOf(clusterUID string) iter.Seq[*storev1.EnrolmentToken] {
	return tokens.scan(tx, clusterIndex, clusterUID+separator)
}

// PutToken inserts or replaces a token.
func (tx *Tx) PutToken(t *storev1.EnrolmentToken) error {
	_, err := tokens.put(tx, t)
	return err
}

// DeleteToken deletes a token, if there is one with the id.
func (tx *Tx) DeleteToken(id string) error {
	_, err := tokens.remove(tx, id)
	return err
}
