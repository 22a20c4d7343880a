package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxSize bounds a policy file, in bytes. A list of a thousand namespaces has a third of it.
	MaxSize = 64 << 10
	// maxReason bounds the reason of a freeze, in bytes: it goes into every report.
	maxReason = 512
)

// Parse reads a policy. The error has a line for each thing that is wrong, and says where it is. namespace is the spoke's own.
func Parse(data []byte, namespace string) (*Policy, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("a policy has at most %d bytes, and this one has %d", MaxSize, len(data))
	}
	p := Default(namespace)
	documents := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	switch err := documents.Decode(&document); {
	case errors.Is(err, io.EOF):
		return p, nil // nothing but comments
	case err != nil:
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var r reader
	if root := document.Content[0]; root.ShortTag() != "!!null" {
		r.policy(root, p)
	}
	if err := documents.Decode(&more); !errors.Is(err, io.EOF) {
		r.fail(&more, "", "a policy is one document")
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return p, nil
}

// reader takes a policy out of YAML. It goes on after a problem, so that one look at a file finds all.
type reader struct{ problems []error }

func (r *reader) fail(node *yaml.Node, place, format string, args ...any) {
	where := fmt.Sprintf("line %d: ", node.Line)
	if place != "" {
		where += place + ": "
	}
	r.problems = append(r.problems, fmt.Errorf(where+format, args...))
}

func (r *reader) policy(node *yaml.Node, p *Policy) {
	explicit := false
	r.fields(node, "", map[string]func(*yaml.Node, string){
		"readOnly":     func(n *yaml.Node, at string) { p.ReadOnly = r.yes(n, at) },
		"freeze":       func(n *yaml.Node, at string) { p.Freeze = r.freeze(n, at) },
		"namespaces":   func(n *yaml.Node, at string) { p.namespaces = r.rules(n, at, checkNamespace) },
		"kinds":        func(n *yaml.Node, at string) { p.kinds = r.rules(n, at, checkKind) },
		"ownNamespace": func(n *yaml.Node, at string) { p.openOwn = r.word(n, at, "deny", "allow") == "allow" },
		"clusterScoped": func(n *yaml.Node, at string) {
			explicit = true
			if n.Kind == yaml.ScalarNode {
				if r.word(n, at, "deny", "allow") == "deny" {
					p.clusterScoped = denyAll(at + ": deny")
				}
				return
			}
			p.clusterScoped = r.rules(n, at, checkKind)
		},
		"impersonation": func(n *yaml.Node, at string) { r.impersonation(n, at, &p.impersonation) },
	})
	// Who lists namespaces means that bundles stay within them.
	if p.namespaces.closed != "" && !explicit {
		p.clusterScoped = denyAll("clusterScoped: deny (the default where namespaces.allow is given)")
	}
}

// fields reads a mapping with a function for each field that it may have.
func (r *reader) fields(node *yaml.Node, place string, known map[string]func(*yaml.Node, string)) {
	r.mapping(node, place, func(key, value *yaml.Node) {
		read, ok := known[key.Value]
		if !ok {
			r.fail(key, place, "there is no field %q here; there are %s", clip(key.Value), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		at := key.Value
		if place != "" {
			at = place + "." + key.Value
		}
		read(value, at)
	})
}

// mapping reads the entries of a mapping, in their order.
func (r *reader) mapping(node *yaml.Node, place string, entry func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		r.fail(node, place, "this is to be a mapping, as in NAME: VALUE")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(key, place, "a name is to be a text")
		case seen[key.Value]:
			r.fail(key, place, "%q is there twice", clip(key.Value))
		default:
			entry(key, value)
		}
		seen[key.Value] = true
	}
}

func (r *reader) text(node *yaml.Node, place string) string {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		r.fail(node, place, "this is to be a text; put it in quotes if it looks like something else")
		return ""
	}
	return node.Value
}

func (r *reader) yes(node *yaml.Node, place string) (yes bool) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!bool" || node.Decode(&yes) != nil {
		r.fail(node, place, "this is to be true or false")
	}
	return yes
}

func (r *reader) word(node *yaml.Node, place string, words ...string) string {
	text := r.text(node, place)
	if text != "" && !slices.Contains(words, text) {
		r.fail(node, place, "this is to be %s", strings.Join(words, " or "))
	}
	return text
}

func (r *reader) freeze(node *yaml.Node, place string) (reason string) {
	r.fields(node, place, map[string]func(*yaml.Node, string){
		"reason": func(n *yaml.Node, at string) { reason = strings.Join(strings.Fields(r.text(n, at)), " ") },
	})
	switch {
	case reason == "":
		r.fail(node, place, "say why, in reason: it is all that people at the hub get to see")
	case len(reason) > maxReason:
		r.fail(node, place, "the reason has at most %d bytes", maxReason)
	}
	return reason
}

// rules reads lists of what is allowed and denied.
func (r *reader) rules(node *yaml.Node, place string, check func(string) error) rules {
	var out rules
	r.fields(node, place, map[string]func(*yaml.Node, string){
		"allow": func(n *yaml.Node, at string) { out.allow, out.closed = r.patterns(n, at, check), at },
		"deny":  func(n *yaml.Node, at string) { out.deny = r.patterns(n, at, check) },
	})
	return out
}

func (r *reader) patterns(node *yaml.Node, place string, check func(string) error) []pattern {
	if node.Kind != yaml.SequenceNode {
		r.fail(node, place, "this is to be a list")
		return nil
	}
	var out []pattern
	for i, item := range node.Content {
		at := fmt.Sprintf("%s[%d]", place, i)
		if text, ok := r.checked(item, at, check); ok {
			out = append(out, newPattern(at, text))
		}
	}
	return out
}

// checked reads a text that has to pass a check.
func (r *reader) checked(node *yaml.Node, place string, check func(string) error) (text string, ok bool) {
	if text = r.text(node, place); text == "" && node.Kind != yaml.ScalarNode {
		return "", false
	}
	if err := check(text); err != nil {
		r.fail(node, place, "%q: %w", clip(text), err)
		return "", false
	}
	return text, true
}

func (r *reader) account(node *yaml.Node, place string) (a Account) {
	r.checked(node, place, func(text string) (err error) {
		a, err = ParseAccount(text)
		return err
	})
	return a
}

func (r *reader) impersonation(node *yaml.Node, place string, i *impersonation) {
	i.given = true
	r.fields(node, place, map[string]func(*yaml.Node, string){
		"default":  func(n *yaml.Node, at string) { i.fallback = r.account(n, at) },
		"required": func(n *yaml.Node, at string) { i.required = r.yes(n, at) },
		"allow":    func(n *yaml.Node, at string) { i.allow = r.patterns(n, at, checkAccounts) },
		"bundles": func(n *yaml.Node, at string) {
			r.mapping(n, at, func(key, value *yaml.Node) {
				at := fmt.Sprintf("%s[%s]", at, clip(key.Value))
				if text, ok := r.checked(key, at, checkBundle); ok {
					account := r.account(value, at)
					i.bundles = append(i.bundles, bundleAccount{pattern{text, at + ": " + account.String()}, account})
				}
			})
		},
	})
}

func checkBundle(text string) error { return checkCharacters(text, lower+digits+".-") }

// clip bounds what is quoted of a file.
func clip(text string) string {
	const limit = 64
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
