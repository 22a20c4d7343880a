package scenarios

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The hub is restored from a backup that lacks two revisions and a bundle. Spokes keep what they have, and say why, until an
// operator accepts; publishing something else meanwhile is no acceptance.
func TestRestoredOlderBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1"), settings("dropped", "1")))
	backup := filepath.Join(t.TempDir(), "backup")
	w.must(w.hub.Run(w.ctx, "backup", backup, "--data-dir", w.hub.DataDir()).Err())

	w.ready("web", w.publish("web", "all", namespace, settings("one", "2"), settings("dropped", "2"), settings("new", "2")))
	w.ready("later", w.publish("later", "all", settings("unknown", "1")))
	w.must(w.hub.Stop())

	// As on a new machine: the backup, the key, and nothing else but who may administer.
	key, admin := filepath.Join(w.hub.DataDir(), "hub.key"), w.hub.AdminConfig()
	keyText, adminText := w.read(key), w.read(admin)
	w.must(os.Rename(w.hub.DataDir(), w.hub.DataDir()+".lost"))
	w.said(w.hub.Run(w.ctx, "restore", backup, "--data-dir", w.hub.DataDir()), 0)
	w.must(os.WriteFile(key, []byte(keyText), 0o600))
	w.must(os.WriteFile(admin, []byte(adminText), 0o600))
	w.must(w.hub.Start(w.ctx))

	untouched := func() {
		t.Helper()
		w.holds("one", "value", "2", lisbon, tokyo)
		w.holds("dropped", "value", "2", lisbon, tokyo)
		w.holds("new", "value", "2", lisbon, tokyo)
		w.holds("unknown", "value", "1", lisbon, tokyo)
	}
	for _, in := range []string{lisbon, tokyo} {
		w.held(in, "web", "NewerThanHub", "restored")
		w.held(in, "later", "UnknownToHub", "restore")
	}
	untouched()
	r := w.cli.Run(w.ctx, "wait", "bundle/web", "--timeout", "1m")
	w.said(r, 1, "NewerThanHub")

	// What is held is kept, too.
	w.edit(lisbon, "one", "by hand")
	w.edit(tokyo, "unknown", "by hand")
	w.eventuallyHolds(lisbon, "one", "2")
	w.eventuallyHolds(tokyo, "unknown", "1")

	w.publish("web", "all", namespace, settings("one", "3"))
	w.ready("other", w.publish("other", "all", settings("other", "1")))
	for _, in := range []string{lisbon, tokyo} {
		w.held(in, "web", "NewerThanHub", "restored")
		w.held(in, "later", "UnknownToHub", "restore")
	}
	untouched()

	w.do("accept", "bundle/web", "--yes")
	w.ready("web", 2)
	w.holds("one", "value", "3", lisbon, tokyo)
	w.holds("unknown", "value", "1", lisbon, tokyo)
	for _, in := range []string{lisbon, tokyo} {
		w.gone(in, configMaps, "new")
		w.gone(in, configMaps, "dropped")
	}
	w.do("accept", "cluster/"+lisbon, "--yes")
	w.gone(lisbon, configMaps, "unknown")
	w.holds("unknown", "value", "1", tokyo)
}

// Somebody puts an older copy of the database back by hand, which no epoch tells. The first spoke that has seen more shows it:
// the hub hands out nothing any more and says so, and the spokes keep all.
func TestDatabaseRolledBackByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.must(w.hub.Stop())
	older := w.read(w.database())
	w.must(w.hub.Start(w.ctx))
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2"), settings("new", "2")))
	w.must(w.spokes[lisbon].Stop())
	w.must(w.hub.Stop())
	w.must(os.WriteFile(w.database(), []byte(older), 0o600))

	w.must(w.hub.Start(w.ctx))
	w.must(w.spokes[lisbon].Start(w.ctx, ""))
	w.eventually("the hub says that it is read-only", func() error {
		response, err := http.Get(w.hub.MetricsURL() + "/readyz")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil && !(response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "rolled back")) {
			err = fmt.Errorf("%s: %s", response.Status, text)
		}
		return err
	})
	w.refused(1, []string{"publish", w.files(settings("one", "3")), "--bundle", "web", "--to", "all"}, "rolled back", "yardarm-hub restore")
	w.refused(1, []string{"label", "cluster", lisbon, "a=b"}, "takes no changes")
	w.refused(0, []string{"status"}, "takes no changes", "rolled back", "lisbon")
	w.holds("one", "value", "2", lisbon)
	w.holds("new", "value", "2", lisbon)
	w.edit(lisbon, "new", "by hand")
	w.eventuallyHolds(lisbon, "new", "2")
}

// held waits until a bundle in a cluster is held for a reason, with a message that says a word.
func (w *world) held(cluster, bundle, reason, word string) {
	w.t.Helper()
	// The hub says by itself that it does not know a bundle, until the spoke has said why it holds it.
	w.eventually(fmt.Sprintf("%s in %s is held for %s (%s)", bundle, cluster, reason, word), func() error {
		a, err := w.assignment(cluster, bundle)
		if st := a.GetStatus(); err == nil && (st.GetPhase() != "Held" || st.GetReason() != reason || !strings.Contains(st.GetMessage(), word)) {
			err = fmt.Errorf("it is %s for %s (%s)", st.GetPhase(), st.GetReason(), st.GetMessage())
		}
		return err
	})
}

// database is the file that the hub keeps all in.
func (w *world) database() string { return filepath.Join(w.hub.DataDir(), "hub.db") }
