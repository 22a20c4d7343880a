package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var (
	notifications = durable(Notifications, hard, func(n *storev1.Notification) string { return n.GetNotification().GetMetadata().GetName() })
	// tolds are soft: what is lost of them in a crash is told once more.
	tolds = durable(Tolds, soft, func(t *storev1.Told) string { return join(t.GetNotificationUid(), t.GetSubject()) })
)

// Notification returns the notification with the name, or nil.
func (tx *ReadTx) Notification(name string) *storev1.Notification { return notifications.get(tx, name) }

// Notifications yields all notifications by name.
func (tx *ReadTx) Notifications() iter.Seq[*storev1.Notification] {
	return notifications.scan(tx, idIndex, "")
}

// PutNotification inserts or replaces a notification and sets its resource version.
func (tx *Tx) PutNotification(n *storev1.Notification) error {
	if err := tx.stamp(n.GetNotification().GetMetadata()); err != nil {
		return err
	}
	_, err := notifications.put(tx, n)
	return err
}

// DeleteNotification deletes a notification, if there is one with the name, and what its receiver was told.
func (tx *Tx) DeleteNotification(name string) error {
	old, err := notifications.remove(tx, name)
	if err != nil || old == nil {
		return err
	}
	return tolds.removeAll(tx, old.Notification.Metadata.Uid+separator)
}

// Told returns what the receiver of a notification has taken of a subject, or nil.
func (tx *ReadTx) Told(notificationUID, subject string) *storev1.Told {
	return tolds.get(tx, notificationUID, subject)
}

// ToldOf yields what the receiver of a notification has taken, by subject.
func (tx *ReadTx) ToldOf(notificationUID string) iter.Seq[*storev1.Told] {
	return tolds.scan(tx, idIndex, notificationUID+separator)
}

// PutTold inserts or replaces what the receiver of a notification has taken of a subject.
func (tx *Tx) PutTold(t *storev1.Told) error {
	_, err := tolds.put(tx, t)
	return err
}

// DeleteTold deletes what the receiver of a notification has taken of a subject, if there is anything.
func (tx *Tx) DeleteTold(notificationUID, subject string) error {
	_, err := tolds.remove(tx, join(notificationUID, subject))
	return err
}
