package ca

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	secretRoot    = "ca/root"
	secretCursor  = "cursor/mac"
	secretTickets = store.TransientSecretPrefix + "ticket-keys"

	// rootYears is how long the root lives. The trust bundle that spokes get with every Welcome lets it be replaced before.
	rootYears = 10
	// cursorKeySize is that of HMAC-SHA-256's output, in bytes; a longer key adds nothing.
	cursorKeySize = 32
)

// open reads the three secrets, and makes those that are missing: all at a first start, the ticket keys after a restore.
func (c *CA) open(ctx context.Context) error {
	root, err := c.secret(secretRoot)
	if err != nil {
		return err
	}
	cursor, err := c.secret(secretCursor)
	if err != nil {
		return err
	}
	tickets, err := c.secret(secretTickets)
	if err != nil {
		return err
	}
	made := make(map[string][]byte)
	if root == nil {
		if name := c.enrolled(); name != "" {
			return fmt.Errorf("the database has enrolled clusters (%s), but not the CA that they trust: restore a complete backup", name)
		}
		if root, err = c.makeRoot(); err != nil {
			return err
		}
		made[secretRoot] = root
	}
	if cursor == nil {
		cursor = make([]byte, cursorKeySize)
		if _, err := io.ReadFull(c.random, cursor); err != nil {
			return fmt.Errorf("make the cursor key: %w", err)
		}
		made[secretCursor] = cursor
	}
	if tickets == nil {
		keys, err := (&ticketKeys{}).rotate(c.now(), c.random)
		if err != nil {
			return err
		}
		tickets = keys.encode()
		made[secretTickets] = tickets
	}
	// Before anything is written: secrets that do not make sense stay as they are.
	roots, err := c.decodeRoots(root)
	if err != nil {
		return err
	}
	c.roots.Store(roots)
	if len(cursor) != cursorKeySize {
		return errors.New("the cursor key in the database is damaged: restore a backup")
	}
	c.cursorKey = cursor
	keys, err := decodeTickets(tickets)
	if err != nil {
		return err
	}
	c.tickets.Store(keys)
	return c.keep(ctx, made)
}

// secret returns nil where the store has none of this name.
func (c *CA) secret(name string) ([]byte, error) {
	row := c.store.Read().Secret(name)
	if row == nil {
		return nil, nil
	}
	return c.sealer.Open(name, row)
}

// keep seals secrets and writes them in one commit.
func (c *CA) keep(ctx context.Context, secrets map[string][]byte) error {
	if len(secrets) == 0 {
		return nil
	}
	rows := make([]*storev1.SealedSecret, 0, len(secrets))
	for name, plaintext := range secrets {
		row, err := c.sealer.Seal(name, plaintext)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	_, err := c.store.Update(ctx, func(tx *store.Tx) error {
		for _, row := range rows {
			if err := tx.PutSecret(row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep the CA's secrets: %w", err)
	}
	return nil
}

// enrolled returns the name of a cluster that has enrolled, if there is one.
func (c *CA) enrolled() string {
	tx := c.store.Read()
	for cluster := range tx.Clusters() {
		if tx.Identity(cluster.GetMetadata().GetUid()) != nil {
			return cluster.GetMetadata().GetName()
		}
	}
	return ""
}

// makeRoot returns a new root and its key, in PEM, as decodeRoots reads it.
func (c *CA) makeRoot() ([]byte, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	serial, err := c.serial()
	if err != nil {
		return nil, err
	}
	now := c.now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Yardarm CA " + c.fleet},
		NotBefore:             now.Add(-certs.Backdate),
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		// No authority below it: whoever gets a certificate of this CA can issue none.
		MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the root certificate: %w", err)
	}
	text, err := certs.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	return append(certs.EncodeChain([][]byte{der}), text...), nil
}
