package render

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Fields of a kustomization that name files, directories or addresses: as a text or a list of texts, or, with a dot, as a field of each item.
var kustomizeReferences = []string{"resources", "components", "bases", "crds", "configurations", "generators", "transformers", "validators", "patchesStrategicMerge",
	"openapi.path", "patches.path", "patchesJson6902.path", "replacements.path"}

// remoteReference is what Kustomize would fetch.
var remoteReference = regexp.MustCompile(`(?i)^(?:[a-z][a-z0-9+.-]*://|git::|gh:|[\w.-]+@[\w.-]+:|(?:www\.)?(?:github|gitlab|bitbucket)\.(?:com|org)[/:])|[?&]ref=|\.git(?:$|[/?])`)

const originAnnotations = "originAnnotations"

// kustomizeDirectories are those that name directories with a kustomization, which may be bases elsewhere.
var kustomizeDirectories = []string{"resources", "components", "bases"}

// kustomization looks at one for what is not done here, has its references to bases elsewhere lead to where those are seen, and makes the top one note where its
// objects come from. Whatever else is wrong with it is for Kustomize to say.
func kustomization(name string, data []byte, top bool, bases map[string]string) ([]byte, error) {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return data, nil
	}
	m := root.Content[0]
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if key, value := pair(m, field); key != nil && len(value.Content) > 0 {
			return nil, manifest.Problem{File: name, Line: key.Line, Field: field,
				Message: "charts inside of a kustomization are not rendered; make the chart a bundle of its own, or commit what `helm template` prints"}
		}
	}
	rewritten := false
	for _, field := range kustomizeReferences {
		for _, n := range referred(m, field) {
			if !remoteReference.MatchString(n.Value) {
				continue
			}
			address := withoutSecrets(scalar(n))
			p := manifest.Problem{File: name, Line: n.Line, Field: field, Err: ErrElsewhere, Message: address + " is elsewhere, and rendering fetches nothing; copy it into the source"}
			if !slices.Contains(kustomizeDirectories, field) {
				return nil, p
			}
			base, ok := bases[n.Value]
			if !ok {
				return nil, &Elsewhere{p, n.Value, address}
			}
			way, err := filepath.Rel(path.Dir(name), base)
			if err != nil {
				return nil, p
			}
			n.Value, rewritten = filepath.ToSlash(way), true
		}
	}
	if top {
		return notingOrigins(m, data, rewritten)
	}
	if rewritten {
		return yaml.Marshal(m)
	}
	return data, nil
}

// withoutSecrets is an address without what is secret in some: who asks, and its query.
func withoutSecrets(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
	}
	return address
}

// referred answers the texts that a field has.
func referred(m *yaml.Node, field string) []*yaml.Node {
	outer, inner, nested := strings.Cut(field, ".")
	_, value := pair(m, outer)
	if value == nil {
		return nil
	}
	var texts []*yaml.Node
	for _, n := range append([]*yaml.Node{value}, value.Content...) {
		if nested {
			_, n = pair(n, inner)
		}
		if n != nil && n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") {
			texts = append(texts, n)
		}
	}
	return texts
}

// notingOrigins adds to buildMetadata that each object carries where it comes from.
func notingOrigins(m *yaml.Node, data []byte, rewritten bool) ([]byte, error) {
	_, metadata := pair(m, "buildMetadata")
	if metadata == nil {
		metadata = &yaml.Node{Kind: yaml.SequenceNode}
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "buildMetadata"}, metadata)
	}
	if metadata.Kind != yaml.SequenceNode || slices.ContainsFunc(metadata.Content, func(n *yaml.Node) bool { return n.Value == originAnnotations }) {
		if rewritten {
			return yaml.Marshal(m)
		}
		return data, nil
	}
	metadata.Content = append(metadata.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: originAnnotations})
	return yaml.Marshal(m)
}
