package ca

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var epoch = bytes.Repeat([]byte{7}, epochSize)

func TestRestartKeepsTheSecrets(t *testing.T) {
	h := newHub(t)
	pin, tickets, cursor := h.Pin(), h.tickets.Load().keys, h.SignCursor(epoch, 5)
	if !strings.HasPrefix(pin, "sha256:") {
		t.Fatalf("pin %q", pin)
	}
	h.stop()
	h.start()
	if h.Pin() != pin {
		t.Error("the CA is another one after a restart")
	}
	if !h.VerifyCursor(cursor) {
		t.Error("a cursor of before the restart is not known any more")
	}
	if got := h.tickets.Load().keys; len(got) != 1 || got[0] != tickets[0] {
		t.Error("the ticket keys are others after a restart, so no session would resume")
	}
	if life := h.Standing().Roots[0].NotAfter.Sub(h.now()); life < 10*365*24*time.Hour {
		t.Errorf("the root lives %v, want 10 years", life)
	}
}

func TestSecretsAreSealedOnDisk(t *testing.T) {
	h := newHub(t)
	var rows int
	for row := range h.store.Read().Secrets() {
		rows++
		for name, plain := range map[string][]byte{"cursor key": h.cursorKey, "ticket key": h.tickets.Load().keys[0][:], "PEM": []byte("PRIVATE KEY")} {
			if bytes.Contains(row.GetCiphertext(), plain) {
				t.Errorf("%s shows the %s", row.GetName(), name)
			}
		}
	}
	if rows != 3 {
		t.Errorf("%d secrets, want 3", rows)
	}
	if !strings.HasPrefix(secretTickets, store.TransientSecretPrefix) {
		t.Error("ticket keys would be in backups")
	}
}

func TestWrongHubKeyIsRefused(t *testing.T) {
	h := newHub(t)
	for name, config := range map[string]seal.Config{
		"another key": {Key: hubKey(2)},
	} {
		sealer, err := seal.New(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Config{Store: h.store, Sealer: sealer, Clock: h.clock.now})
		if !errors.Is(err, seal.ErrWrongKey) || !strings.Contains(err.Error(), seal.EnvKey) {
			t.Errorf("%s: error %v, want ErrWrongKey naming its source", name, err)
		}
	}
}

func TestDatabaseWithClustersGetsNoNewCA(t *testing.T) {
	h := newHub(t)
	h.enrol("prod-1")
	h.update(func(tx *store.Tx) error { return tx.DeleteSecret(secretRoot) })
	_, err := New(Config{Store: h.store, Sealer: sealer(t, h.key), Clock: h.clock.now})
	if err == nil || !strings.Contains(err.Error(), "prod-1") {
		t.Fatalf("error %v, want a refusal naming the cluster", err)
	}
	if h.store.Read().Secret(secretRoot) != nil {
		t.Fatal("a new CA was made for clusters that trust another one")
	}
}

func TestDamagedSecretsAreRefused(t *testing.T) {
	for _, name := range []string{secretRoot, secretCursor, secretTickets} {
		h := newHub(t)
		row, err := h.sealer.Seal(name, []byte("damaged"))
		if err != nil {
			t.Fatal(err)
		}
		h.update(func(tx *store.Tx) error { return tx.PutSecret(row) })
		if _, err := New(Config{Store: h.store, Sealer: h.sealer, Clock: h.clock.now}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: error %v, want one that says damaged", name, err)
		}
	}
}

func TestMissingTicketKeysAreMadeAnew(t *testing.T) {
	h := newHub(t)
	h.enrol("prod-1")
	pin := h.Pin()
	h.update(func(tx *store.Tx) error { return tx.DeleteSecret(secretTickets) })
	h.stop()
	h.start()
	if h.Pin() != pin || h.store.Read().Secret(secretTickets) == nil {
		t.Fatal("after a restore the CA is to be the same, with new ticket keys")
	}
}

func TestConfigIsChecked(t *testing.T) {
	h := newHub(t)
	for name, config := range map[string]Config{
		"no store":     {Sealer: h.sealer},
		"no sealer":    {Store: h.store},
		"short life":   {Store: h.store, Sealer: h.sealer, ClusterLife: time.Minute - 1},
		"strange name": {Store: h.store, Sealer: h.sealer, Fleet: "a/b"},
	} {
		config.Clock = h.clock.now
		if _, err := New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	h.clock.pass(11 * 365 * 24 * time.Hour)
	if _, err := New(Config{Store: h.store, Sealer: h.sealer, Clock: h.clock.now}); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired root: error %v", err)
	}
}

func TestCursors(t *testing.T) {
	h, other := newHub(t), newHub(t)
	good := h.SignCursor(epoch, 1<<40)
	if !h.VerifyCursor(good) {
		t.Fatal("the hub does not know its own cursor")
	}
	if len(good.GetMac()) != macSize {
		t.Fatalf("the MAC has %d bytes, want %d", len(good.GetMac()), macSize)
	}
	for name, cursor := range map[string]*spokev1.Cursor{
		"none":              nil,
		"another index":     {Epoch: good.Epoch, Index: good.Index + 1, Mac: good.Mac},
		"another epoch":     {Epoch: bytes.Repeat([]byte{8}, epochSize), Index: good.Index, Mac: good.Mac},
		"another hub's":     other.SignCursor(epoch, 1<<40),
		"no MAC":            {Epoch: good.Epoch, Index: good.Index},
		"a part of the MAC": {Epoch: good.Epoch, Index: good.Index, Mac: good.Mac[:8]},
		"short epoch":       h.SignCursor(epoch[:8], 1),
	} {
		if h.VerifyCursor(cursor) {
			t.Errorf("%s: taken for its own", name)
		}
	}
}

// filesHold says whether any file of a folder holds the text.
func filesHold(t *testing.T, dir string, text []byte) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, text) {
			return true
		}
	}
	return false
}

var _ Reader = (*store.ReadTx)(nil)
var _ Reader = (*store.Tx)(nil)
var _ Sealer = (*seal.Sealer)(nil)
