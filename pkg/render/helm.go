package render

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	dependencies "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// defaultKubeVersion is the Kubernetes that charts see where none is named. It is one that clusters in service know, and it does not change with this program's
// own libraries: what a chart comes out as would change with it.
const defaultKubeVersion = "v1.34.0"

// helm renders a chart as `helm template` does.
func (c *worker) helm() ([]manifest.File, error) {
	ch, err := c.loadChart()
	if err != nil {
		return nil, err
	}
	chosen, err := c.chosenValues()
	if err != nil {
		return nil, err
	}
	h := c.rendering.GetHelm()
	if err := c.checkChart(ch); err != nil {
		return nil, err
	}
	c.source.note(c.inChart(ch, chartFile))
	if err := dependencies.ProcessDependencies(ch, chosen); err != nil {
		return nil, c.chartProblem(ch, err)
	}
	capabilities, err := c.capabilities()
	if err != nil {
		return nil, err
	}
	if v := ch.Metadata.KubeVersion; v != "" && !dependencies.IsCompatibleRange(v, capabilities.KubeVersion.String()) {
		return nil, manifest.Problem{File: c.inChart(ch, chartFile), Field: "kubeVersion",
			Message: fmt.Sprintf("the chart is for Kubernetes %s and is rendered for %s; say another one by helm.kubeVersion", clip(v), capabilities.KubeVersion.Version)}
	}
	release := common.ReleaseOptions{Name: cmp.Or(h.GetReleaseName(), c.job.Name), Namespace: cmp.Or(h.GetNamespace(), c.job.Namespace), Revision: 1, IsInstall: true}
	c.source.note(c.inChart(ch, schemaFile))
	values, err := chartutil.ToRenderValuesWithSchemaValidation(ch, chosen, release, capabilities, h.GetSkipSchema())
	if err != nil {
		return nil, c.schemaProblem(ch, err)
	}
	files := c.crds(ch)
	c.instrument(ch)
	texts, err := engine.Engine{CustomTemplateFuncs: c.functions()}.RenderWithContext(context.Background(), ch, values)
	if err != nil {
		return nil, c.templateProblem(ch, err)
	}
	for name, text := range texts {
		if path.Base(name) != notes && strings.TrimSpace(text) != "" {
			files = append(files, manifest.File{Path: manifestName(c.chartPath(ch, name)), Data: []byte(separate(text))})
		}
	}
	return files, nil
}

const (
	// notes are for whoever installs the chart, and no manifest. They are rendered all the same: charts check their values in them.
	notes      = "NOTES.txt"
	schemaFile = "values.schema.json"
	valuesFile = "values.yaml"
)

// capabilities are what templates see of a cluster, which there is none of.
func (c *worker) capabilities() (*common.Capabilities, error) {
	h := c.rendering.GetHelm()
	version, err := common.ParseKubeVersion(cmp.Or(h.GetKubeVersion(), defaultKubeVersion))
	if err != nil {
		return nil, manifest.Problem{Message: "helm.kubeVersion is no version of Kubernetes"}
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	capabilities.APIVersions = slices.Concat(capabilities.APIVersions, h.GetApiVersions())
	// Those of the build say what this program was built with, which is none of a chart's business.
	capabilities.HelmVersion.GoVersion, capabilities.HelmVersion.KubeClientVersion = "", ""
	return capabilities, nil
}

// chosenValues are those of the Rendering and then of the Variant: of its files and then its own, in order.
func (c *worker) chosenValues() (map[string]any, error) {
	chosen, err := c.addValues(map[string]any{}, c.rendering.GetHelm().GetValueFiles(), c.rendering.GetHelm().GetValues())
	if err != nil {
		return nil, err
	}
	return c.addValues(chosen, c.variant.GetValueFiles(), c.variant.GetValues())
}

func (c *worker) addValues(chosen map[string]any, files []string, own *structpb.Struct) (map[string]any, error) {
	dir := c.job.Path
	if isArchive(dir) {
		dir = path.Dir(dir)
	}
	for _, ref := range files {
		name, err := within(dir, ref)
		if err != nil {
			return nil, manifest.Problem{File: clip(ref), Message: "a file of values " + err.Error()}
		}
		data, err := c.source.read(name)
		if err != nil {
			return nil, err
		}
		values, err := c.readValues(name, data)
		if err != nil {
			return nil, err
		}
		chosen = loader.MergeMaps(chosen, values)
	}
	if own == nil {
		return chosen, nil
	}
	data, err := own.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	values, err := loader.LoadValues(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	return loader.MergeMaps(chosen, values), nil
}

func (c *worker) readValues(name string, data []byte) (map[string]any, error) {
	c.source.note(name)
	values, err := loader.LoadValues(bytes.NewReader(data))
	if err != nil {
		return nil, yamlProblem(name, err)
	}
	return values, nil
}

// crds are the manifests in crds directories, which are no templates.
func (c *worker) crds(ch *chart.Chart) []manifest.File {
	if c.rendering.GetHelm().GetSkipCrds() {
		return nil
	}
	var files []manifest.File
	for _, crd := range ch.CRDObjects() {
		files = append(files, manifest.File{Path: manifestName(c.chartPath(ch, crd.Filename)), Data: crd.File.Data})
	}
	return files
}

// glued is a document's beginning on the line of its marker, as templates leave it that trim one newline too many. Helm takes them apart.
var glued = regexp.MustCompile(`(?m)^---[ \t]*(\S)`)

func separate(text string) string { return glued.ReplaceAllString(text, "---\n$1") }

// chartPath is where the source has what Helm knows as CHART/PATH. Charts in a chart are in its directory charts, by the names of theirs.
func (c *worker) chartPath(ch *chart.Chart, name string) string {
	return c.inChart(ch, strings.TrimPrefix(name, ch.Name()+"/"))
}

func (c *worker) inChart(_ *chart.Chart, name string) string {
	dir := c.job.Path
	if isArchive(dir) {
		dir = strings.TrimSuffix(strings.TrimSuffix(dir, ".tgz"), ".tar.gz")
	}
	return path.Join(dir, name)
}

var (
	// templatePlace is how text/template says where something is.
	templatePlace = regexp.MustCompile(`\(?([A-Za-z0-9_.][^\s:()"]*/(?:templates|crds)/[^\s:()"]+):(\d+)(?::\d+)?\)?`)
	// templateQuote is what Helm quotes of a template that values contain.
	templateQuote = regexp.MustCompile(`(?s)(error during tpl function execution for|cannot parse template) "(?:[^"\\]|\\.)*":?`)
	// calling is what text/template puts in front of what a function says.
	calling    = regexp.MustCompile(`^(?:error calling \w+: )+`)
	errTooMuch = errors.New("takes too much")
)

// templateProblem is an error of a template, at its innermost place.
func (c *worker) templateProblem(ch *chart.Chart, err error) error {
	text := templateQuote.ReplaceAllString(err.Error(), "in tpl:")
	p := manifest.Problem{File: c.source.at}
	places := templatePlace.FindAllStringSubmatch(text, -1)
	if len(places) > 0 {
		place := places[len(places)-1]
		p.File = c.chartPath(ch, place[1])
		fmt.Sscan(place[2], &p.Line)
	}
	if reason := c.watch.exceeded(); reason != "" && strings.Contains(text, errTooMuch.Error()) {
		p.Message, p.Err = reason, ErrLimit
		return p
	}
	p.Message = templateMessage(text)
	if strings.Contains(text, errMuch.Error()) {
		p.Err = ErrLimit
	}
	return p
}

// templateMessage is what is wrong, without the way there.
func templateMessage(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	message := strings.TrimSpace(lines[len(lines)-1])
	if _, after, ok := strings.Cut(lines[0], "execution error at ("); ok {
		// What a chart says itself, by fail or required.
		_, message, _ = strings.Cut(strings.Join(append([]string{after}, lines[1:]...), " "), "): ")
	}
	if at := strings.LastIndex(message, ">: "); at >= 0 {
		message = message[at+3:]
	}
	if at := templatePlace.FindStringIndex(message); at != nil && at[0] < len("parse error at (") {
		message = strings.TrimLeft(message[at[1]:], "): ")
	}
	message = calling.ReplaceAllString(message, "")
	const longest = 500
	return message[:min(len(message), longest)]
}

// chartProblem is an error of the chart as a whole.
func (c *worker) chartProblem(ch *chart.Chart, err error) error {
	return manifest.Problem{File: c.inChart(ch, chartFile), Message: firstLine(err.Error())}
}

func yamlProblem(name string, err error) error {
	p := manifest.Problem{File: name, Message: "invalid YAML: " + firstLine(err.Error())}
	if at := yamlErrorLine.FindStringSubmatchIndex(p.Message); at != nil {
		fmt.Sscan(p.Message[at[2]:at[3]], &p.Line)
		p.Message = "invalid YAML: " + p.Message[at[1]:]
	}
	return p
}

// clip shortens what a source says, for an error.
func clip(s string) string {
	const limit = 80
	return s[:min(len(s), limit)]
}
