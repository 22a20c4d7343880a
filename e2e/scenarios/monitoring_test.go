package scenarios

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/process"
)

// metricName is one of Yardarm's in a rule or on the dashboard.
var metricName = regexp.MustCompile(`\byardarm_[a-z0-9_]+`)

// A real Prometheus scrapes a real hub and a real spoke: the rules are sound, an alert's expression answers when a spoke goes, and
// rules and dashboard name only metrics that there are.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s in PATH", program)
		}
	}
	dir, err := fleet.Source("deploy/monitoring")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Glob(filepath.Join(dir, "../charts/*/rules.yaml"))
	if err != nil || len(rules) != 2 {
		t.Fatalf("the charts' rules: %v, %v", rules, err)
	}
	w := newWorld(t)
	for _, args := range [][]string{append([]string{"check", "rules"}, rules...), {"test", "rules", "rules_test.yaml"}} {
		command := exec.CommandContext(w.ctx, "promtool", args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	w.enrol(lisbon)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.edit(lisbon, "one", "meddled")
	w.eventuallyHolds(lisbon, "one", "1")

	p := w.prometheus(rules, w.hub.MetricsURL(), w.spokes[lisbon].MetricsURL())
	p.answers(`yardarm_clusters{presence="Connected"} == 1`)
	p.answers(`yardarm_bundle_clusters{bundle="web",phase="Ready"} == 1`)
	p.answers(`yardarm_spoke_connected == 1`)
	p.answers(`yardarm_disk_available_bytes > 0 and yardarm_disk_size_bytes > yardarm_disk_available_bytes`)
	p.answers(`yardarm_certificate_expiry_timestamp_seconds{certificate="ca"} > time()`)
	for _, file := range append(rules, filepath.Join(dir, "dashboard.json")) {
		for _, name := range metricName.FindAllString(w.read(file), -1) {
			p.answers(fmt.Sprintf("count(%s)", name))
		}
	}
	w.must(w.spokes[lisbon].Stop())
	p.answers(`ALERTS{alertname="YardarmClustersStale",alertstate="pending"}`)
}

// prometheus is a running one.
type prometheus struct {
	w   *world
	url string
}

// prometheus starts one with these rules, which scrapes these addresses every second.
func (w *world) prometheus(rules []string, targets ...string) prometheus {
	w.t.Helper()
	dir := w.t.TempDir()
	for i, target := range targets {
		targets[i] = strings.TrimPrefix(target, "http://")
	}
	config, err := json.Marshal(map[string]any{ // which is YAML too
		"global":         map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files":     rules,
		"scrape_configs": []any{map[string]any{"job_name": "yardarm", "static_configs": []any{map[string]any{"targets": targets}}}},
	})
	w.must(err)
	file := filepath.Join(dir, "prometheus.yml")
	w.must(os.WriteFile(file, config, 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	address := listener.Addr().String()
	w.must(listener.Close())
	path, err := exec.LookPath("prometheus")
	w.must(err)
	running, err := process.Start(process.Program{Path: path, Dir: dir, Args: []string{
		"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
	}})
	w.must(err)
	w.t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			w.t.Errorf("stop Prometheus: %v", err)
		}
	})
	return prometheus{w, "http://" + address}
}

// answers awaits that a query has a result.
func (p prometheus) answers(query string) {
	p.w.t.Helper()
	p.w.eventually("Prometheus answers "+query, func() error {
		response, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(query))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		var answer struct {
			Error string
			Data  struct{ Result []any }
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			return err
		}
		if len(answer.Data.Result) == 0 {
			return fmt.Errorf("no result %s", answer.Error)
		}
		return nil
	})
}
