package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// change is one caller's transaction: who makes it and when, since a transaction may look neither up.
type change struct {
	*store.Tx
	call
	now    time.Time
	actor  string
	access *authz.Access
	// content reads what an artifact holds, compressed, from the disk.
	content func(digest string) ([]byte, error)
}

// errDryRun undoes a transaction that went well.
var errDryRun = errors.New("dry run")

// change runs fn as one transaction, which may write what its caller may change. A dry run leaves nothing of it, so it finds just what the change itself would.
func (s *Server) change(ctx context.Context, dryRun bool, fn func(*change) error) error {
	now, call := s.cfg.Clock(), callOf(ctx)
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		access, err := authz.AccessOf(&tx.ReadTx, call.who, now)
		if err != nil {
			return errEnded
		}
		c := &change{Tx: tx, call: call, now: now, actor: call.who.Actor(), access: access, content: s.store.Content}
		if err := fn(c); err != nil {
			return err
		}
		if err := c.judge(); err != nil {
			return err
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if dryRun && errors.Is(err, errDryRun) {
		return nil
	}
	var defect *store.PanicError
	if errors.As(err, &defect) {
		return s.panicked(defect.Value, defect.Stack)
	}
	return err
}

// view shows what the transaction has written so far.
func (c *change) view() view { return newView(&c.ReadTx, c.now, c.access) }

func (c *change) time() *timestamppb.Timestamp { return timestamppb.New(c.now) }

// event adds a line to the story, with who and when.
func (c *change) event(e *yardarmv1.Event) error {
	e.Time, e.Actor = c.time(), c.actor
	if e.Type == "" {
		e.Type = yardarmv1.EventNormal
	}
	return c.AddEvent(e)
}

// newMeta is that of a resource made by this change.
func (c *change) newMeta(name, uid string) *yardarmv1.ObjectMeta {
	return &yardarmv1.ObjectMeta{Name: name, Uid: uid, Generation: 1, CreationTimestamp: c.time()}
}

// newUID mints a random (version 4) UUID.
func (s *Server) newUID() (string, error) {
	var u [16]byte
	if _, err := io.ReadFull(s.cfg.Rand, u[:]); err != nil {
		return "", fmt.Errorf("mint a uid: %w", err)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}

// checkVersion refuses a change that was made of another version than the current one; an empty version is none.
func checkVersion(kind string, current *yardarmv1.ObjectMeta, version string) error {
	if version != "" && version != current.GetResourceVersion() {
		return staleVersion(kind, current.GetName(), version, current.GetResourceVersion())
	}
	return nil
}
