package render

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// kustomize builds a kustomization. Of what `kustomize build` does by default it leaves nothing out but what is not in the source: see kustomization.go.
func (c *worker) kustomize() ([]manifest.File, error) {
	tree := &kustomizeFS{source: c.source, top: c.job.Path, bases: c.job.Bases}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(tree, "/"+c.job.Path)
	switch {
	case tree.refused != nil:
		// What Kustomize makes of it is longer, and says less.
		return nil, tree.refused
	case err != nil:
		return nil, c.kustomizeProblem(err)
	}
	return c.originals(built, tree.keepOrigins)
}

// originals writes objects to the files that they come from, in the order of the build. The notes of where that is are kept if they were asked for.
func (c *worker) originals(built resmap.ResMap, keep bool) ([]manifest.File, error) {
	texts := map[string][]byte{}
	for _, r := range built.Resources() {
		name := c.origin(r)
		if !keep {
			if err := r.SetOrigin(nil); err != nil {
				return nil, manifest.Problem{File: name, Message: "its annotations cannot be changed"}
			}
		}
		data, err := r.AsYAML()
		if err != nil {
			return nil, manifest.Problem{File: name, Object: strings.TrimSpace(r.GetKind() + " " + r.GetName()), Message: "cannot be written as YAML"}
		}
		texts[name] = append(append(texts[name], "---\n"...), data...)
	}
	files := make([]manifest.File, 0, len(texts))
	for name, text := range texts {
		files = append(files, manifest.File{Path: name, Data: text})
	}
	return files, nil
}

// origin is the file that an object comes from: of a generated one, the kustomization.
func (c *worker) origin(r *resource.Resource) string {
	configured := path.Join(c.job.Path, kustomizationFiles[0])
	origin, err := r.GetOrigin()
	if err != nil || origin == nil {
		return configured
	}
	if name, err := within(c.job.Path, cmp.Or(origin.Path, origin.ConfiguredIn)); err == nil && name != c.job.Path {
		return manifestName(name)
	}
	return configured
}

// manifestName is a name that [manifest.Parse] takes for YAML: what Kustomize has read as JSON comes out as YAML.
func manifestName(name string) string {
	if strings.EqualFold(path.Ext(name), ".json") {
		return name + ".yaml"
	}
	return name
}

var (
	// kustomizeNest is what Kustomize puts in front of an error on each level that it goes through.
	kustomizeNest = regexp.MustCompile(`^.*(?:recursed accumulation of path '[^']*'|accumulating resources|accumulating components|recursed merging from path '[^']*'|loader\.New "[^"]*"): `)
	// kustomizeTaken is what it says of a resource that it has tried as a file and as a directory: the first is mostly why.
	kustomizeTaken = regexp.MustCompile(`^accumulation err='accumulating resources from '([^']*)': (.*?)': .*$`)
	yamlErrorLine  = regexp.MustCompile(`(?:yaml: |error converting YAML to JSON: |MalformedYAMLError: )*(?:yaml: )?line (\d+): `)
)

// kustomizeProblem is an error of Kustomize, at the file that was read last.
func (c *worker) kustomizeProblem(err error) error {
	var own manifest.Problem
	if errors.As(err, &own) {
		return own
	}
	p := manifest.Problem{File: c.source.at}
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", " ")
	text = kustomizeNest.ReplaceAllString(text, "")
	text = kustomizeTaken.ReplaceAllString(text, "cannot take '$1': $2")
	if at := yamlErrorLine.FindStringSubmatchIndex(text); at != nil {
		p.Line, _ = strconv.Atoi(text[at[2]:at[3]])
		text = "invalid YAML: " + text[at[1]:]
	}
	const longest = 500
	p.Message = text[:min(len(text), longest)]
	return p
}

// isKustomization says whether a file is one by its name.
func isKustomization(name string) bool { return slices.Contains(kustomizationFiles, path.Base(name)) }

// errReadOnly is for what would change the source.
var errReadOnly = fmt.Errorf("the source is not to be changed")
