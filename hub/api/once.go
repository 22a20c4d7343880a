package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// idempotencyKeyHeader is the metadata key by which a caller names a call that it may have to make again. Over REST it is the header Idempotency-Key.
	idempotencyKeyHeader = "idempotency-key"
	// maxIdempotencyKey is how long one may be, in bytes: a UUID is 36.
	maxIdempotencyKey = 128
	// answerLife is how long an answer is kept: longer than anybody goes on trying.
	answerLife = 24 * time.Hour
	// maxAnswer is the largest answer that is kept, in bytes: that of an Apply of a few hundred resources.
	maxAnswer = 256 << 10
	// ownAnswers is how many answers of one identity are kept, allAnswers those of all, and answerBytes their size together: what ends first
	// makes room. They are in memory.
	ownAnswers  = 256
	allAnswers  = 2048
	answerBytes = 32 << 20
)

// Sealer seals secrets at rest; *seal.Sealer is one.
type Sealer interface {
	Seal(name string, plaintext []byte) (*storev1.SealedSecret, error)
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// idempotencyKey is the one that a call has; empty for none. The draft of its standard has it in quotes, and many send it without.
func idempotencyKey(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(idempotencyKeyHeader)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		if key, ok = strings.CutSuffix(quoted, `"`); !ok {
			key = ""
		}
	}
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || strings.ContainsAny(key, `"\`) {
		return "", invalid("Idempotency-Key", fmt.Sprintf("must be one text of 1 to %d characters, such as a random UUID, without quotes in it", maxIdempotencyKey))
	}
	return key, nil
}

// once is a call with an idempotency key: however often it is made, it is done once.
type once struct {
	sealer Sealer
	// key is that of the row: whose call it is, and which.
	key string
	// request tells it from another under the same key.
	request []byte
}

// once is nil for a call without a key, and for a dry run, which does nothing.
func (s *Server) once(c call, req mutation, more []string) (*once, error) {
	if c.key == "" || req.GetDryRun() {
		return nil, nil
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("tell the request from others: %w", err)
	}
	h := sha256.New()
	for _, part := range append([]string{c.method, string(text)}, more...) {
		fmt.Fprintf(h, "%d:%s", len(part), part) // never fails
	}
	return &once{sealer: s.cfg.Sealer, key: digest(c.who.Actor()) + "/" + digest(c.key), request: h.Sum(nil)}, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// answered returns errAnswered and the answer if the call was made before; none is a nil message of its type.
func answered[A proto.Message](c *change, o *once, none A) (A, error) {
	if o == nil {
		return none, nil
	}
	row := c.Answer(o.key)
	if row == nil || !c.now.Before(row.GetExpires().AsTime()) {
		return none, nil
	}
	if !slices.Equal(row.Request, o.request) {
		return none, refuse(codes.InvalidArgument, reasonKeyReused, nil, "the idempotency key was used for another request; a new request takes a new key")
	}
	text, err := o.sealer.Open(o.key, row.Answer)
	if err != nil {
		return none, err
	}
	answer := none.ProtoReflect().New().Interface().(A)
	if err := proto.Unmarshal(text, answer); err != nil {
		return none, fmt.Errorf("read an answer that was kept: %w", err)
	}
	return answer, errAnswered
}

// keep puts the answer beside the change, and makes room for it. It is sealed, since answers hold tokens.
func (o *once) keep(c *change, answer proto.Message) error {
	text, err := proto.Marshal(answer)
	if err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	if len(text) > maxAnswer {
		return invalid("Idempotency-Key", fmt.Sprintf("does not go with so large a change: its answer has %d bytes, and at most %d are kept; change less at once, or leave the key out", len(text), maxAnswer))
	}
	sealed, err := o.sealer.Seal(o.key, text)
	if err != nil {
		return err
	}
	if err := c.PutAnswer(&storev1.Answer{Key: o.key, Request: o.request, Answer: sealed, Expires: timestamppb.New(c.now.Add(answerLife))}); err != nil {
		return err
	}
	return o.makeRoom(c)
}

func (o *once) makeRoom(c *change) error {
	whose, _, _ := strings.Cut(o.key, "/")
	kept := slices.Collect(c.Answers())
	own, all, bytes := 0, len(kept), 0
	for _, a := range kept {
		bytes += len(a.GetAnswer().GetCiphertext())
		if strings.HasPrefix(a.Key, whose) {
			own++
		}
	}
	for _, a := range kept {
		mine := strings.HasPrefix(a.Key, whose)
		if c.now.Before(a.GetExpires().AsTime()) && all <= allAnswers && bytes <= answerBytes && !(mine && own > ownAnswers) {
			continue
		}
		if err := c.DeleteAnswer(a.Key); err != nil {
			return err
		}
		all--
		bytes -= len(a.GetAnswer().GetCiphertext())
		if mine {
			own--
		}
	}
	return nil
}
