package scenarios

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// handbookCommands are the fenced blocks of a page that are for a shell.
var handbookCommands = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// The commands of the operator's handbook do what it says, in its order.
func TestHandbook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, cluster := range map[string]string{"edge-1": lisbon, "edge-2": tokyo} {
		w.must(w.spokeAs(name, cluster, nil).Enrol(w.ctx, w.cli, name, "test=yes"))
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	reader := w.newReader()
	// after is what is to be true once a block has been run, by a line of it.
	after := map[string]func(out string){
		"yardarm status --exit-code": func(out string) {
			reader.says(out, "Everything is ready.")
		},
		"yardarm describe gate freeze-all": func(out string) { reader.says(out, "Black Friday", "gate/freeze-all lifted") },
		"tar -tzf support.tar.gz":          func(out string) { reader.says(out, "notready.jsonl", "events.jsonl") },
		"yardarm enroll edge-2": func(out string) {
			reader.says(out, "helm install", `token: "ye1.`)
			w.holds("one", "value", "1", tokyo)
			w.released(tokyo, "one")
			w.must(w.spokes["edge-2"].Stop())
		},
		"yardarm ban cluster edge-1": func(out string) { reader.says(out, "Banned") },
		"yardarm-hub backup": func(string) {
			// Newer than the backup.
			w.publish("web", "all", namespace, settings("one", "2"))
			w.eventuallyHolds(lisbon, "one", "2")
		},
		"yardarm-hub restore": func(string) {
			w.held("edge-1", "web", "NewerThanHub", "restored")
			w.holds("one", "value", "2", lisbon)
		},
		"yardarm accept bundle/web": func(string) { w.eventuallyHolds(lisbon, "one", "1") },
		"yardarm auth whoami":       func(out string) { reader.says(out, "admin") },
	}
	for _, block := range handbookCommands.FindAllStringSubmatch(w.read("../../docs/operate.md"), -1) {
		out := reader.run(block[1])
		for line, check := range after {
			if strings.Contains(block[1], line) {
				check(out)
				delete(after, line)
			}
		}
	}
	for line := range after {
		t.Errorf("the handbook says %q no more", line)
	}
}

// reader is somebody who pastes what the handbook says into one shell.
type reader struct {
	w   *world
	dir string
	env []string
	// exports are the lines that hold for all that follow.
	exports string
}

// newReader gives them the programs, a folder, and a service manager that knows the hub alone.
func (w *world) newReader() *reader {
	w.t.Helper()
	r := &reader{w: w, dir: w.t.TempDir()}
	init := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		do := map[string]func() error{"/stop/yardarm-hub": w.hub.Stop, "/start/yardarm-hub": func() error { return w.hub.Start(w.ctx) }}[req.URL.Path]
		if do == nil {
			http.NotFound(rw, req)
		} else if err := do(); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
		}
	}))
	w.t.Cleanup(init.Close)
	bin := filepath.Join(r.dir, "bin")
	w.must(os.Mkdir(bin, 0o755))
	w.must(os.WriteFile(filepath.Join(bin, "systemctl"), fmt.Appendf(nil, "#!/bin/sh\nexec curl --fail --silent --show-error %s/$1/$2\n", init.URL), 0o755))
	r.env = []string{
		"PATH=" + strings.Join([]string{bin, programs.Dir, "/usr/bin", "/bin"}, ":"), "HOME=" + r.dir,
		"DATA=" + w.hub.DataDir(), "BACKUPS=" + filepath.Join(r.dir, "backups"), "ADDRESS=" + strings.Split(w.hub.SpokeAddress(), ":")[0],
	}
	return r
}

// run runs a block as if typed, where each line has to succeed, and answers what it printed.
func (r *reader) run(block string) string {
	r.w.t.Helper()
	command := exec.CommandContext(r.w.ctx, "bash", "-c", "set -euo pipefail\n"+r.exports+block)
	command.Dir, command.Env = r.dir, r.env
	out, err := command.CombinedOutput()
	if err != nil {
		r.w.t.Fatalf("%v\n%s\n%s", err, block, out)
	}
	for line := range strings.Lines(block) {
		if strings.HasPrefix(line, "export ") {
			r.exports += line
		}
	}
	return string(out)
}

func (r *reader) says(out string, words ...string) {
	r.w.t.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			r.w.t.Errorf("it does not say %q:\n%s", word, out)
		}
	}
}
