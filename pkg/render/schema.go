package render

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

var (
	// schemaQuote is a value that is not as a schema wants it.
	schemaQuote = regexp.MustCompile(`(at '[^']*': )'(?:[^'\\]|\\.)*' `)
	// schemaPlace is where in the values something is wrong, as a JSON pointer, and what.
	schemaPlace = regexp.MustCompile(`at '([^']*)': (.*?)(?: - at '|$)`)
	// schemaChart is the chart whose schema it is.
	schemaChart = regexp.MustCompile(`([^\s:]+): - at '`)
	// schemaExtra is what a schema says of a key that it does not have.
	schemaExtra = regexp.MustCompile(`additional propert(?:y|ies) '([^']*)'`)
)

// schemaProblem is an error of the values, at the file that says the first of those that are wrong: the last one that says anything of it counts.
func (c *worker) schemaProblem(ch *chart.Chart, err error) error {
	text := schemaQuote.ReplaceAllString(strings.Join(strings.Fields(err.Error()), " "), "${1}it ")
	const longest = 500
	p := manifest.Problem{File: c.inChart(ch, valuesFile), Message: text[:min(len(text), longest)]}
	at := schemaPlace.FindStringSubmatch(text)
	if at == nil {
		return p
	}
	var keys []string
	if of := schemaChart.FindStringSubmatch(text); of != nil && of[1] != ch.Name() {
		keys = append(keys, of[1]) // of a chart in the chart
	}
	for _, key := range strings.Split(at[1], "/")[1:] { // of the values as a whole, there are none
		keys = append(keys, strings.NewReplacer("~1", "/", "~0", "~").Replace(key))
	}
	if extra := schemaExtra.FindStringSubmatch(at[2]); extra != nil {
		keys = append(keys, extra[1])
	}
	if len(keys) > 0 {
		c.locate(ch, keys, &p)
	}
	return p
}

// locate finds who says a value.
func (c *worker) locate(ch *chart.Chart, keys []string, p *manifest.Problem) {
	dir := c.job.Path
	if isArchive(dir) {
		dir = path.Dir(dir)
	}
	for _, layer := range []struct {
		field string
		own   *structpb.Struct
		files []string
	}{{"variant.values", c.variant.GetValues(), c.variant.GetValueFiles()}, {"rendering.helm.values", c.rendering.GetHelm().GetValues(), c.rendering.GetHelm().GetValueFiles()}} {
		if says(layer.own, keys) {
			p.File, p.Field = "", layer.field
			return
		}
		for _, ref := range slices.Backward(layer.files) {
			name, err := within(dir, ref)
			if err != nil {
				continue
			}
			if data, err := c.source.read(name); err == nil {
				if line := lineOf(data, keys); line > 0 {
					p.File, p.Line = name, line
					return
				}
			}
		}
	}
	for _, f := range ch.Raw {
		if f.Name == valuesFile {
			p.Line = lineOf(f.Data, keys)
		}
	}
}

// says tells whether there is a value by the keys.
func says(values *structpb.Struct, keys []string) bool {
	v, ok := values.GetFields()[keys[0]]
	for _, key := range keys[1:] {
		if !ok {
			return false
		}
		if list := v.GetListValue().GetValues(); list != nil {
			i, err := strconv.Atoi(key)
			if ok = err == nil && i >= 0 && i < len(list); ok {
				v = list[i]
			}
			continue
		}
		v, ok = v.GetStructValue().GetFields()[key]
	}
	return ok
}

// lineOf is the line of the value by the keys; 0 where there is none.
func lineOf(data []byte, keys []string) int {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return 0
	}
	node, line := root.Content[0], 0
	for _, key := range keys {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		if node.Kind == yaml.SequenceNode {
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(node.Content) {
				return 0
			}
			node = node.Content[i]
			line = node.Line
			continue
		}
		at, value := pair(node, key)
		if at == nil {
			return 0
		}
		node, line = value, at.Line
	}
	return line
}
