package inventory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// Backend keeps values by key, each in versions that a write compares; *kube.Blobs is one.
type Backend interface {
	List(ctx context.Context) (keys []string, err error)
	// Read answers an error that wraps fs.ErrNotExist if there is none.
	Read(ctx context.Context, key string) ([]byte, kube.Version, error)
	// Write expects a version, the zero one for a new value, and answers an error that wraps kube.ErrChanged at any other.
	Write(ctx context.Context, key string, value []byte, expect kube.Version) (kube.Version, error)
	Delete(ctx context.Context, key string, expect kube.Version) error
}

// ErrSecondWriter says that somebody else has written an inventory: a second spoke is at work in this cluster.
var ErrSecondWriter = errors.New("somebody else has written the inventory: is there a second spoke in this cluster?")

// Store keeps the inventories of all bundles, one value each, under the bundle's uid.
type Store struct {
	backend Backend
	logger  *slog.Logger
}

// NewStore makes a Store.
func NewStore(backend Backend, logger *slog.Logger) *Store {
	return &Store{backend: backend, logger: logger}
}

// Load answers all inventories, by bundle uid. One that cannot be read is an error: without it, nothing says what may be
// deleted, and a spoke that went on would leave objects behind.
func (s *Store) Load(ctx context.Context) (map[string]*Inventory, error) {
	keys, err := s.backend.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("load inventories: %w", err)
	}
	all := map[string]*Inventory{}
	for _, key := range keys {
		i, err := s.read(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load inventory of bundle %s: %w", key, err)
		}
		all[key] = i
	}
	return all, nil
}

func (s *Store) read(ctx context.Context, key string) (*Inventory, error) {
	data, version, err := s.backend.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	i, err := decode(data)
	if err != nil {
		return nil, err
	}
	if i.BundleUID != key {
		return nil, fmt.Errorf("%w: it is of bundle %s", errDamaged, i.BundleUID)
	}
	i.settle(data, version)
	return i, nil
}

// Save writes an inventory if it differs from what is stored.
func (s *Store) Save(ctx context.Context, i *Inventory) error {
	data, err := encode(i)
	if err != nil {
		return err
	}
	if i.version != "" && sha256.Sum256(data) == i.stored {
		return nil
	}
	version, err := s.backend.Write(ctx, i.BundleUID, data, i.version)
	if errors.Is(err, kube.ErrChanged) {
		version, err = s.again(ctx, i, data)
	}
	if err != nil {
		return fmt.Errorf("save inventory: %w", err)
	}
	i.settle(data, version)
	return nil
}

// again answers a write that found another version. It may be our own write, whose answer was lost, or a Secret that somebody deleted:
// then it is written once more. Anything else is a second writer's.
func (s *Store) again(ctx context.Context, i *Inventory, data []byte) (kube.Version, error) {
	found, version, err := s.backend.Read(ctx, i.BundleUID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.logger.Warn("inventory was deleted; writing it again", "bundle", i.Bundle)
		return s.backend.Write(ctx, i.BundleUID, data, "")
	case err != nil:
		return "", err
	case string(found) == string(data):
		return version, nil
	}
	if i.version == "" || sha256.Sum256(found) != i.stored {
		return "", ErrSecondWriter
	}
	// It is what we wrote last, in another version: somebody has labelled it.
	return s.backend.Write(ctx, i.BundleUID, data, version)
}

// Reload answers what is stored of a bundle now, in place of an inventory that somebody else has overtaken.
func (s *Store) Reload(ctx context.Context, i *Inventory) (*Inventory, error) {
	found, err := s.read(ctx, i.BundleUID)
	if errors.Is(err, fs.ErrNotExist) {
		return New(i.BundleUID, i.Bundle), nil
	}
	return found, err
}

// Delete removes an inventory whose objects are all gone or let go.
func (s *Store) Delete(ctx context.Context, i *Inventory) error {
	if err := s.backend.Delete(ctx, i.BundleUID, ""); err != nil {
		return fmt.Errorf("delete inventory: %w", err)
	}
	i.version = ""
	return nil
}

// settle notes what is stored.
func (i *Inventory) settle(data []byte, version kube.Version) {
	i.version, i.stored = version, sha256.Sum256(data)
}
