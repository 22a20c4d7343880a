package seal

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestDerive gives each purpose and each hub key a key of its own, which stays: what is sealed with it has to fit after an upgrade.
func TestDerive(t *testing.T) {
	hubKey := make([]byte, KeySize)
	for i := range hubKey {
		hubKey[i] = byte(i)
	}
	derive := func(s *Sealer, purpose string) []byte {
		t.Helper()
		k, err := s.Derive(purpose)
		if err != nil || len(k) != KeySize {
			t.Fatalf("a key of %d bytes, %v", len(k), err)
		}
		return k
	}
	one := derive(must(t, Config{Key: key(1)}), "audit log")
	if !bytes.Equal(one, derive(must(t, Config{Key: key(1)}), "audit log")) {
		t.Error("the key does not stay")
	}
	if bytes.Equal(one, derive(must(t, Config{Key: key(2)}), "audit log")) || bytes.Equal(one, derive(must(t, Config{Key: key(1)}), "other")) {
		t.Error("two keys are one")
	}
	if got := hex.EncodeToString(derive(&Sealer{key: hubKey}, "audit log")); got != "712e95a34e68d610922dbbf543157f9276dd83319fc45d52ee8182420287d3de" {
		t.Errorf("the key of the audit log is %s: no log of an earlier hub fits it", got)
	}
}
