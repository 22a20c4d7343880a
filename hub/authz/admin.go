package authz

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// adminID is the ID of the local administrator's credential: there is one at a time, so it needs no random one.
	adminID = "local"
	// AdminName is who the local administrator is, in events and provenance.
	AdminName = "local-admin"
	// adminContext is the context's name in the file.
	adminContext = "local"
)

// Admin says where the local administrator's file is, and what it tells the CLI.
type Admin struct {
	// Path of the file, in the format of the CLI's contexts. Its folder is made.
	Path string
	// Server is "https://host:port", where the CLI is to call.
	Server string
	// CA is the hub's CA in PEM.
	CA string
}

// Outcome is what EnsureLocalAdmin found or did.
type Outcome string

const (
	// AdminCreated: this is a first start; credential and file were made.
	AdminCreated Outcome = "created"
	// AdminKept: both exist; nothing was changed.
	AdminKept Outcome = "kept"
	// AdminOutdated: both exist, and the file names another server or CA than this hub's. It is kept: it may be meant so.
	AdminOutdated Outcome = "outdated"
	// AdminMissing: the credential exists, and the file does not. It is not made again by itself: whoever removed it may have meant to, and the
	// secret is not known any more. [Authz.ResetLocalAdmin] makes a new one.
	AdminMissing Outcome = "missing"
)

// EnsureLocalAdmin makes the local administrator's credential and file at a first start, and changes nothing afterwards. The caller logs the
// outcome.
func (a *Authz) EnsureLocalAdmin(ctx context.Context, admin Admin) (Outcome, error) {
	if a.config.Store.Read().Credential(adminID) == nil {
		return AdminCreated, a.ResetLocalAdmin(ctx, admin)
	}
	config, err := clientconfig.Load(admin.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return AdminMissing, nil
	}
	if err != nil {
		return "", fmt.Errorf("check the local administrator's credential: %w", err)
	}
	found, err := config.Context(adminContext)
	if err != nil || found.Server != admin.Server || found.CA != admin.CA {
		return AdminOutdated, nil
	}
	return AdminKept, nil
}

// ResetLocalAdmin makes a new secret for the local administrator and writes the file; the secret of before lets nobody in any more. Other
// contexts in the file are kept. It returns once both are on disk.
func (a *Authz) ResetLocalAdmin(ctx context.Context, admin Admin) error {
	config, err := clientconfig.Load(admin.Path)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = clientconfig.New(), nil
	}
	if err != nil {
		return fmt.Errorf("make the local administrator's credential: %w (move that file away first)", err)
	}
	secret, err := a.newSecret()
	if err != nil {
		return err
	}
	config.Put(clientconfig.Context{Name: adminContext, Server: admin.Server, CA: admin.CA, Token: format(adminID, secret)})
	config.CurrentContext = adminContext
	// The file first: after a crash between the two, the next start finds no credential and makes both again. The other way round the
	// credential would exist, and nobody would know it.
	if err := config.Save(admin.Path); err != nil {
		return fmt.Errorf("make the local administrator's credential: %w", err)
	}
	hash := sha256.Sum256(secret)
	created := timestamppb.New(a.config.Clock())
	if _, err := a.config.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutCredential(&storev1.Credential{Id: adminID, Name: AdminName, SecretHash: hash[:], Created: created})
	}); err != nil {
		return fmt.Errorf("make the local administrator's credential, of which %s is in vain now (reset it again): %w", filepath.Base(admin.Path), err)
	}
	return nil
}
