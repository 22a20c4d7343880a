package ca

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// ticketLife is how long new tickets are made with one key. Tickets of the two keys before still resume.
	ticketLife = 24 * time.Hour
	// ticketCount is how many keys are kept, the newest included: a spoke that was away for two days resumes.
	ticketCount = 3
	// ticketKeySize is what crypto/tls asks for, in bytes.
	ticketKeySize = 32
	// ticketRow is a key and its time on disk, in bytes.
	ticketRow = 8 + ticketKeySize
)

// ticketKeys are immutable.
type ticketKeys struct {
	// keys and created belong together; newest first.
	keys    [][ticketKeySize]byte
	created []time.Time
}

func (t *ticketKeys) encode() []byte {
	var row []byte
	for i, key := range t.keys {
		row = binary.BigEndian.AppendUint64(row, uint64(t.created[i].Unix()))
		row = append(row, key[:]...)
	}
	return row
}

func decodeTickets(row []byte) (*ticketKeys, error) {
	if len(row) == 0 || len(row)%ticketRow != 0 {
		return nil, errors.New("the TLS ticket keys in the database are damaged")
	}
	var t ticketKeys
	for ; len(row) > 0; row = row[ticketRow:] {
		t.created = append(t.created, time.Unix(int64(binary.BigEndian.Uint64(row)), 0))
		t.keys = append(t.keys, [ticketKeySize]byte(row[8:ticketRow]))
	}
	return &t, nil
}

// due says whether the newest key has served its day. One from the future is due, too: the clock was wrong when it was made.
func (t *ticketKeys) due(now time.Time) bool {
	age := now.Sub(t.created[0])
	return age >= ticketLife || age < -ticketLife
}

// rotate returns the keys with a new one in front.
func (t *ticketKeys) rotate(now time.Time, random io.Reader) (*ticketKeys, error) {
	var key [ticketKeySize]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("make a TLS ticket key: %w", err)
	}
	older := min(len(t.keys), ticketCount-1)
	return &ticketKeys{
		keys:    append([][ticketKeySize]byte{key}, t.keys[:older]...),
		created: append([]time.Time{now}, t.created[:older]...),
	}, nil
}

// rotateTickets makes a new key once a day. It is used only once it is on disk, so that tickets made with it outlive a restart.
func (c *CA) rotateTickets(ctx context.Context) error {
	keys := c.tickets.Load()
	now := c.now()
	if !keys.due(now) {
		return nil
	}
	keys, err := keys.rotate(now, c.random)
	if err != nil {
		return err
	}
	if err := c.keep(ctx, map[string][]byte{secretTickets: keys.encode()}); err != nil {
		return err
	}
	c.tickets.Store(keys)
	return nil
}
