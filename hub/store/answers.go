package store

import (
	"fmt"
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// expiryIndex orders rows by when they end.
const expiryIndex = "expiry"

var answers = durable(Answers, hard, func(a *storev1.Answer) string { return a.GetKey() },
	by(expiryIndex, func(a *storev1.Answer) []string { return []string{fmt.Sprintf("%020d", a.GetExpires().GetSeconds())} }))

// Answer returns the answer with the key, or nil.
func (tx *ReadTx) Answer(key string) *storev1.Answer { return answers.get(tx, key) }

// Answers yields all answers, those that end first before the others.
func (tx *ReadTx) Answers() iter.Seq[*storev1.Answer] { return answers.from(tx, expiryIndex, "") }

// PutAnswer inserts or replaces an answer.
func (tx *Tx) PutAnswer(a *storev1.Answer) error {
	_, err := answers.put(tx, a)
	return err
}

// DeleteAnswer deletes an answer, if there is one with the key.
func (tx *Tx) DeleteAnswer(key string) error {
	_, err := answers.remove(tx, key)
	return err
}
