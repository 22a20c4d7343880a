package store

import (
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// AuditHead implements Log.
func (l *boltLog) AuditHead() (head *storev1.AuditHead, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		head, err = decodeAuditHead(l.path, tx.Bucket([]byte(meta.String())).Get([]byte(auditHeadKey)))
		return err
	})
	return head, err
}

// decodeAuditHead reads the head; nil where there is none.
func decodeAuditHead(path string, sealed []byte) (*storev1.AuditHead, error) {
	if sealed == nil {
		return nil, nil
	}
	value, err := unseal(meta.String(), []byte(auditHeadKey), sealed)
	if err != nil {
		return nil, corruptRow(path, meta.String(), []byte(auditHeadKey), err)
	}
	head := &storev1.AuditHead{}
	if err := proto.Unmarshal(value, head); err != nil {
		return nil, corruptRow(path, meta.String(), []byte(auditHeadKey), err)
	}
	return head, nil
}

func putAuditHead(tx *bbolt.Tx, head *storev1.AuditHead) error {
	if head == nil {
		return nil
	}
	value, err := proto.Marshal(head)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(meta.String())).Put([]byte(auditHeadKey), seal(meta.String(), auditHeadKey, value))
}
