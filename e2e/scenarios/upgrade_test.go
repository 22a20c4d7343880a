package scenarios

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// before is the commit that upgrades begin with: the last one before charts and access, whose hub writes format 2 of the database. Once there are
// releases, it is the newest.
const before = "3885abf4"

// A fleet of the version before is upgraded, a spoke first, then the hub, then the other spoke: so each meets a newer and an older one. Nothing is
// lost on the way, no object is made anew, and the hub of before refuses what the new one has written.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	older, err := fleet.BuildCommit(w.ctx, before, os.Stderr)
	w.must(err)
	w.must(w.hub.Stop())
	w.must(os.RemoveAll(w.hub.DataDir()))
	w.hub.SetPrograms(older)
	w.must(w.hub.Start(w.ctx))
	for _, name := range []string{lisbon, tokyo} {
		s := w.spoke(name)
		s.SetPrograms(older)
		w.must(s.Enrol(w.ctx, w.cli, name, "test=yes,site="+name))
	}
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.ready("web", w.republish("web", namespace, settings("one", "2")))
	uid := w.objectUID(lisbon, "one")

	upgrade := func(s *fleet.Spoke) {
		w.must(s.Stop())
		s.SetPrograms(programs)
		w.must(s.Start(w.ctx, ""))
	}
	upgrade(w.spokes[tokyo])
	w.ready("web", w.republish("web", namespace, settings("one", "3")))
	w.holds("one", "value", "3", lisbon, tokyo)
	old := w.everything()

	w.must(w.hub.Stop())
	w.hub.SetPrograms(programs)
	w.must(w.hub.Start(w.ctx))
	w.eventually("all that there was is there", func() error { return forgotten("", old, w.everything()) })
	for _, name := range []string{lisbon, tokyo} {
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
	w.ready("web", w.republish("web", namespace, settings("one", "4")))
	w.do("rollout", "undo", "bundle/web", "--to-revision", "1")
	w.ready("web", 5)
	w.holds("one", "value", "1", lisbon, tokyo)

	upgrade(w.spokes[lisbon])
	w.edit(lisbon, "one", "by hand")
	w.eventuallyHolds(lisbon, "one", "1")
	w.ready("web", w.republish("web", namespace, settings("one", "6")))
	w.holds("one", "value", "6", lisbon, tokyo)
	if now := w.objectUID(lisbon, "one"); now != uid {
		t.Errorf("the object was made anew")
	}

	w.must(w.hub.Stop())
	content := w.read(w.database())
	r := fleet.Exec(w.ctx, older.Path("yardarm-hub"), "run", "--data-dir", w.hub.DataDir(), "--listen", "127.0.0.1:0", "--spoke-listen", "127.0.0.1:0")
	w.said(r, 1, w.database(), "at least as new")
	if w.read(w.database()) != content {
		t.Error("the hub of before has changed the database")
	}
	w.must(w.hub.Start(w.ctx))
	w.ready("web", 6)
}

// everything is what the hub says of all resources: who they are, and what people want of them.
func (w *world) everything() map[string]any {
	w.t.Helper()
	all := map[string]any{}
	for _, kind := range []string{"clusters", "groups", "bundles", "revisions"} {
		args := []string{"get", kind, "-o", "json"}
		if kind == "revisions" {
			args = append(args, "--bundle", "web")
		}
		var list struct {
			Items []struct {
				Metadata struct{ Name, UID string }
				Spec     any
			}
		}
		w.must(json.Unmarshal([]byte(w.do(args...)), &list))
		for _, item := range list.Items {
			all[kind+" "+item.Metadata.Name] = map[string]any{"uid": item.Metadata.UID, "spec": item.Spec}
		}
	}
	return all
}

// forgotten says what of an old value is missing, or another one, in a new value, which may have more.
func forgotten(path string, old, now any) error {
	of, isMap := old.(map[string]any)
	in, alsoMap := now.(map[string]any)
	if !isMap || !alsoMap {
		if !reflect.DeepEqual(old, now) {
			return fmt.Errorf("%s was %v, and is %v", path, old, now)
		}
		return nil
	}
	for key, value := range of {
		if err := forgotten(path+"/"+key, value, in[key]); err != nil {
			return err
		}
	}
	return nil
}
