package scenario

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// sourceFiles is how many files the repository has of which one changes; sourceDir those of the bundle.
	sourceFiles = 5_000
	sourceDir   = "d00"
	// sourcePolls is how many repositories are polled, and pollInterval how often: as often as a bundle may ask for.
	sourcePolls  = 100
	pollInterval = 10 * time.Second
	// seldom is an interval that never comes to pass here.
	seldom = 24 * time.Hour
	// hookCredentials are the source credentials of the bundle that is pushed to, and hookSecret what its webhooks are signed with.
	hookCredentials = "hooks"
	hookSecret      = "the secret of webhooks"
	// chartObjects is how many a chart has that is rendered chartRenders times.
	chartObjects = 100
	chartRenders = 10
	// rendersMetric, commitsMetric and looksMetric are the hub's own counts of what it renders, of what it writes, and of the repositories that it has asked.
	rendersMetric = "yardarm_source_renders_total"
	commitsMetric = "yardarm_store_commit_seconds_count"
	looksMetric   = `yardarm_source_fetches_total{kind="git",result="ok"}`
)

// source pushes to a repository that a bundle of the whole fleet follows, polls others in which nothing changes, and renders a chart.
func source(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	server, err := newGitServer(ctx, filepath.Join(c.Dir, "git"))
	if err != nil {
		return nil, err
	}
	defer server.Close()
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: slices.Concat(oneCaller, []string{"--source-local", "--restart-grace", "1s"}), // what is written once that is over, nobody polls for
		Env: []string{"SSL_CERT_FILE=" + server.ca}})
	if err != nil {
		return nil, err
	}
	w := &sourced{Config: c, hub: &hub{own: own}, git: server}
	if err := w.hub.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.hub.close()) }()
	if err := own.Stop(); err != nil {
		return nil, err
	}
	if _, err := seed.Hub(ctx, own.DataDir(), seed.Fleet{Clusters: c.Clusters, Bundles: 1}); err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	if err := w.hub.start(ctx); err != nil {
		return nil, err
	}
	if w.http, _, err = own.HTTP(); err != nil {
		return nil, err
	}
	defer w.http.CloseIdleConnections()
	out := &report.Source{Clusters: c.Clusters, Files: sourceFiles, Repositories: sourcePolls, Objects: chartObjects}
	if err := w.pushes(ctx, out); err != nil {
		return nil, err
	}
	if err := w.polls(ctx, out); err != nil {
		return nil, err
	}
	out.Helm, err = timeChart(ctx)
	return out, err
}

// sourced is a hub whose bundles follow repositories.
type sourced struct {
	Config
	hub *hub
	git *gitServer
	// http trusts the hub.
	http *http.Client
}

// pushes times from the webhook of a push, which is sent as a server of Git sends it, until there is a revision of it.
func (w *sourced) pushes(ctx context.Context, out *report.Source) error {
	const name = "pushed"
	files := make(map[string]string, sourceFiles)
	for i := range sourceFiles {
		files[fmt.Sprintf("d%02d/f%02d.yaml", i/100, i%100)] = configMap(fmt.Sprintf("c-%d", i), "begin")
	}
	work, err := w.git.create(ctx, name, files)
	if err != nil {
		return err
	}
	if err := w.keep(ctx, name); err != nil {
		return err
	}
	if err := w.apply(ctx, seldom, seed.GroupAll, name); err != nil {
		return err
	}
	if err := w.await(ctx, name, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetLatestRevision() == 1 }); err != nil {
		return err
	}
	renders, err := w.metric(ctx, rendersMetric)
	if err != nil {
		return err
	}
	var samples []time.Duration
	for i := range w.Changes {
		if err := work.push(ctx, map[string]string{sourceDir + "/f00.yaml": configMap("c-0", strconv.Itoa(i))}); err != nil {
			return err
		}
		began := time.Now()
		if err := w.tell(ctx); err != nil {
			return err
		}
		if err := w.await(ctx, name, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetLatestRevision() == uint32(i+2) }); err != nil {
			return err
		}
		samples = append(samples, time.Since(began))
	}
	after, err := w.metric(ctx, rendersMetric)
	if err != nil {
		return err
	}
	out.PushP99, out.Pushes = measure.Milliseconds(measure.Percentile(samples, 0.99)), w.Changes
	out.RendersPerVariant = (after - renders) / float64(w.Changes)
	w.say("a push of one of %d files is a revision after %.0f ms (p99)", sourceFiles, out.PushP99)
	return nil
}

// keep makes the source credentials that hold what webhooks are signed with: the repositories themselves are public.
func (w *sourced) keep(ctx context.Context, bundle string) error {
	_, err := w.hub.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_SourceCredentials{SourceCredentials: &yardarmv1.SourceCredentials{
		Metadata: &yardarmv1.ObjectMeta{Name: hookCredentials}, Spec: &yardarmv1.SourceCredentialsSpec{Urls: []string{w.git.URL}, WebhookSecret: hookSecret,
			Bundles: &yardarmv1.Scope{Names: []string{bundle}}}}}}}})
	return err
}

// tell sends the webhook of a push.
func (w *sourced) tell(ctx context.Context) error {
	body := `{"ref":"refs/heads/main"}`
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.hub.own.URL()+"/webhooks/source/"+hookCredentials, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the webhook was answered %s", response.Status)
	}
	return nil
}

// polls counts what repositories are asked in which nothing has changed, from one look of each to its next, and what the hub writes meanwhile.
func (w *sourced) polls(ctx context.Context, out *report.Source) error {
	var names []string
	for i := range sourcePolls {
		names = append(names, fmt.Sprintf("polled-%d", i))
		if _, err := w.git.create(ctx, names[i], map[string]string{sourceDir + "/a.yaml": configMap(names[i], "one")}); err != nil {
			return err
		}
	}
	if err := w.apply(ctx, pollInterval, "", names...); err != nil {
		return err
	}
	for _, name := range names {
		if err := w.await(ctx, name, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetLatestRevision() == 1 }); err != nil {
			return err
		}
	}
	w.say("polling %d repositories", sourcePolls)
	writes, err := w.settled(ctx)
	if err != nil {
		return err
	}
	requests, err := w.nextLooks(ctx)
	if err != nil {
		return err
	}
	after, err := w.metric(ctx, commitsMetric)
	if err != nil {
		return err
	}
	out.PollRefs, out.PollWrites = requests, int(after-writes)
	return nil
}

// settled waits until the hub has written nothing for longer than it takes to write what it has observed, and answers how often it had written: what is left to do for new
// bundles takes longer on a busy machine.
func (w *sourced) settled(ctx context.Context) (writes float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for before := -1.0; ; before = writes {
		if writes, err = w.metric(ctx, commitsMetric); err != nil || writes == before {
			return writes, err
		}
		if err := pause(ctx, flushed); err != nil {
			return 0, err
		}
	}
}

// nextLooks waits until the sources have been looked at as often as all of them are in two intervals, and answers how often a server was asked for one look. The hub is asked for its
// metrics alone: it writes down when a credential was used.
func (w *sourced) nextLooks(ctx context.Context) (requests float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked, looks, err := w.atRest(ctx)
	for err == nil {
		var nowAsked int
		var nowLooks float64
		if nowAsked, nowLooks, err = w.atRest(ctx); err == nil && nowLooks-looks >= 2*sourcePolls {
			return float64(nowAsked-asked) / (nowLooks - looks), nil
		}
	}
	return 0, err
}

// restWithin is how long is waited for a moment in which no source is looked at. On a machine that is busy there is none; what is under way then is little beside the
// looks of two intervals.
const restWithin = 5 * time.Second

// atRest waits for such a moment, and answers what was asked and looked at by then.
func (w *sourced) atRest(ctx context.Context) (asked int, looks float64, err error) {
	for before, end := -1, time.Now().Add(restWithin); ; before = asked {
		asked = w.git.askedAll()
		last := looks
		if looks, err = w.metric(ctx, looksMetric); err != nil || asked == before && looks == last || time.Now().After(end) {
			return asked, looks, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
}

// apply makes bundles that follow the repositories of their names. One for a group is told of pushes.
func (w *sourced) apply(ctx context.Context, interval time.Duration, group string, names ...string) error {
	r := &hubv1.ApplyRequest{}
	for _, name := range names {
		from := &yardarmv1.GitSource{Url: w.git.url(name), Path: sourceDir, Interval: durationpb.New(interval)}
		spec := &yardarmv1.BundleSpec{Source: &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: from}}}
		if group != "" {
			spec.Targets, from.Credentials = []*yardarmv1.Target{{Group: group}}, hookCredentials
		}
		r.Resources = append(r.Resources, &hubv1.Resource{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}})
	}
	_, err := w.hub.client.Apply(ctx, r)
	return err
}

func (w *sourced) await(ctx context.Context, name string, wanted func(*yardarmv1.Bundle) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		b, err := w.hub.client.GetBundle(ctx, &hubv1.GetBundleRequest{Name: name})
		if err != nil {
			return err
		}
		if wanted(b) {
			return nil
		}
		if p := b.GetStatus().GetSource().GetProblem(); p != nil {
			return fmt.Errorf("the source of bundle %s fails: %s: %s", name, p.GetReason(), p.GetMessage())
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// metric is the value of one of the hub's metrics.
func (w *sourced) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.hub.own.MetricsURL()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(lines.Err(), fmt.Errorf("the hub has no metric %s", name))
}

// timeChart is how long a chart takes until its objects are parsed, the start of the process that renders included: the median of some, in milliseconds.
func timeChart(ctx context.Context) (float64, error) {
	chart := fstest.MapFS{"Chart.yaml": {Data: []byte("apiVersion: v2\nname: many\nversion: 1.0.0\n")}, "values.yaml": {Data: []byte("labels: {team: shop, tier: web}\n")},
		"templates/_helpers.tpl": {Data: []byte("{{- define \"labels\" }}\n{{- range $k, $v := .Values.labels }}\n    {{ $k }}: {{ $v | quote }}\n{{- end }}\n{{- end }}\n")}}
	for i := range chartObjects {
		chart[fmt.Sprintf("templates/c%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-%d\n  labels:{{ include \"labels\" . }}\ndata: {key: {{ .Values.value | default \"one\" | b64enc }}}\n", i)}
	}
	var samples []time.Duration
	for range chartRenders {
		began := time.Now()
		out, err := render.Render(ctx, render.Input{FS: chart, Name: "many"})
		if err != nil {
			return 0, err
		}
		if set, err := manifest.Parse(out.Files, manifest.Limits{}); err != nil || set.Len() != chartObjects {
			return 0, errors.Join(err, errors.New("the chart has not come out whole"))
		}
		samples = append(samples, time.Since(began))
	}
	return measure.Milliseconds(measure.Percentile(samples, 0.5)), nil
}

func configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: default\ndata:\n  key: %s\n", name, value)
}
