package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"
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

// mutation is a request to change something.
type mutation interface {
	proto.Message
	GetDryRun() bool
}

// errAnswered undoes a transaction whose answer is known: a dry run, or a call that was made before.
var errAnswered = errors.New("answered")

// transact runs fn as one transaction, which may write what its caller may change, and answers what fn's result makes of the rows afterwards. A dry run leaves
// nothing of it, so it finds just what the change itself would; its answer is made of a snapshot, while others write. With an idempotency key, the answer is in
// the same commit, and a call that was made before changes nothing and gets the answer of then. more is what belongs to the request and is not in req.
func transact[A proto.Message](ctx context.Context, s *Server, req mutation, fn func(*change) (func(view) A, error), more ...string) (answer A, err error) {
	now, call := s.cfg.Clock(), callOf(ctx)
	once, err := s.once(call, req, more)
	if err != nil {
		return answer, err
	}
	ctx, span := s.cfg.Tracer.Start(ctx, "commit")
	defer span.End()
	var show func(view) A
	var would *view
	_, err = s.store.Update(ctx, func(tx *store.Tx) error {
		access, err := authz.AccessOf(&tx.ReadTx, call.who, now)
		if err != nil {
			return errEnded
		}
		c := &change{Tx: tx, call: call, now: now, actor: call.who.Actor(), access: access, content: s.store.Content}
		if answer, err = answered(c, once, answer); err != nil {
			return err
		}
		if show, err = fn(c); err != nil {
			return err
		}
		if err := c.judge(); err != nil {
			return err
		}
		if err := c.checkQuotas(s.cfg.Limits); err != nil {
			return err
		}
		switch {
		case req.GetDryRun():
			v := newView(c.Snapshot(), now, access)
			would = &v
			return errAnswered
		case once != nil:
			answer = show(c.view())
			return once.keep(c, answer)
		}
		return nil
	})
	var defect *store.PanicError
	var none A
	switch {
	case errors.Is(err, errAnswered) && would != nil:
		return show(*would), nil
	case errors.Is(err, errAnswered):
		return answer, nil
	case errors.As(err, &defect):
		return none, s.panicked(defect.Value, defect.Stack)
	case err != nil:
		return none, err
	case once == nil:
		answer = show(s.view(ctx))
	}
	return answer, nil
}

// as answers what is the same whatever the rows are.
func as[A any](answer A) func(view) A { return func(view) A { return answer } }

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
