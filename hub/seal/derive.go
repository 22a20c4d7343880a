package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// Derive returns a key of 32 bytes for one purpose, of which the hub key cannot be found.
func (s *Sealer) Derive(purpose string) ([]byte, error) {
	key, err := hkdf.Expand(sha256.New, s.key, "yardarm "+purpose, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the %s from the hub key: %w", purpose, err)
	}
	return key, nil
}
