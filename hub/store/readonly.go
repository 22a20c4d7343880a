package store

// SetReadOnly makes every later [Store.Update] fail with an error that wraps [ErrReadOnly] and says reason, until it is called with an empty reason. It
// is for the case that the database is older than what the hub has already handed out.
func (s *Store) SetReadOnly(reason string) {
	if reason == "" {
		s.readOnly.Store(nil)
		return
	}
	s.readOnly.Store(&reason)
}

// ReadOnly returns why the store takes no changes now; empty if it takes them. A full disk is such a reason, too: every update tries again then, and the
// first one that succeeds ends it. So does an attempt that Run makes after each flush interval.
func (s *Store) ReadOnly() string {
	if reason := s.readOnly.Load(); reason != nil {
		return *reason
	}
	if full := s.diskFull.Load(); full != nil {
		return full.Error()
	}
	return ""
}
