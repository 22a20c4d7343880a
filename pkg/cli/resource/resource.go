// Package resource turns resources into the text that people write and read, and back: YAML and JSON in the shape that Kubernetes users know,
// and TYPE/NAME arguments.
//
//	files ──Decode──▶ []Document ──▶ FleetService.Apply
//	resources ──Value──▶ JSON, YAML
//	arguments ──ParseArgs──▶ []Selection
//
// It validates form only: which fields there are and of what type their values are. What values mean is for the hub to say; [Document.Locate] finds the
// line that the hub complains about. The package calls nobody and is used by the CLI's verbs.
package resource

import (
	"fmt"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Type is a kind of resource by its names on the command line.
type Type struct {
	// Kind is the word in resources, such as ClusterGroup.
	Kind string
	// Name is how output and TYPE/NAME arguments call it, such as clustergroup.
	Name string
	// Plural is the name of many.
	Plural string
	// Aliases are further names that arguments may use.
	Aliases []string
}

// Types of resources.
var (
	Cluster      = Type{Kind: yardarmv1.KindCluster, Name: "cluster", Plural: "clusters", Aliases: []string{"cl"}}
	Group        = Type{Kind: yardarmv1.KindClusterGroup, Name: "clustergroup", Plural: "clustergroups", Aliases: []string{"group", "groups", "cg"}}
	Bundle       = Type{Kind: yardarmv1.KindBundle, Name: "bundle", Plural: "bundles", Aliases: []string{"b"}}
	Revision     = Type{Kind: yardarmv1.KindRevision, Name: "revision", Plural: "revisions", Aliases: []string{"rev", "revs"}}
	Assignment   = Type{Kind: yardarmv1.KindAssignment, Name: "assignment", Plural: "assignments", Aliases: []string{"assign", "as"}}
	Strategy     = Type{Kind: yardarmv1.KindStrategy, Name: "strategy", Plural: "strategies"}
	Gate         = Type{Kind: yardarmv1.KindGate, Name: "gate", Plural: "gates"}
	Role         = Type{Kind: yardarmv1.KindRole, Name: "role", Plural: "roles"}
	Binding      = Type{Kind: yardarmv1.KindRoleBinding, Name: "rolebinding", Plural: "rolebindings", Aliases: []string{"binding", "bindings", "rb"}}
	Notification = Type{Kind: yardarmv1.KindNotification, Name: "notification", Plural: "notifications", Aliases: []string{"notify"}}
	Credentials  = Type{Kind: yardarmv1.KindSourceCredentials, Name: "sourcecredentials", Plural: "sourcecredentials", Aliases: []string{"credentials", "creds"}}
	Token        = Type{Kind: yardarmv1.KindToken, Name: "token", Plural: "tokens"}
)

// Types returns all types, in the order in which help lists them.
func Types() []Type {
	return []Type{Cluster, Group, Bundle, Revision, Assignment, Strategy, Gate, Role, Binding, Token, Notification, Credentials}
}

// Is tells whether t is the type other.
func (t Type) Is(other Type) bool { return t.Kind == other.Kind }

// ParseType finds a type by any of its names, in any case.
func ParseType(name string) (Type, error) {
	word := strings.ToLower(name)
	var known, all []string
	for _, t := range Types() {
		if word == t.Name || word == t.Plural || slices.Contains(t.Aliases, word) {
			return t, nil
		}
		known = append(known, t.Plural)
		all = append(all, t.Name, t.Plural)
		all = append(all, t.Aliases...)
	}
	if meant := Closest(word, slices.Values(all)); meant != "" {
		return Type{}, fmt.Errorf("there is no resource type %q; did you mean %s?", name, meant)
	}
	return Type{}, fmt.Errorf("there is no resource type %q; there are %s", name, strings.Join(known, ", "))
}

// Selection is a type, with the names asked for; none means all.
type Selection struct {
	Type  Type
	Names []string
}

// ParseArgs reads TYPE [NAME…], TYPE,TYPE… and TYPE/NAME… as kubectl does. Selections come in the order in which their types are first named.
func ParseArgs(args []string) ([]Selection, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("name a resource type, such as clusters or bundle/web")
	}
	if !strings.Contains(args[0], "/") {
		return parseTypeFirst(args)
	}
	var selections []Selection
	for _, arg := range args {
		t, name, err := ParseTypeName(arg)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(selections, func(s Selection) bool { return s.Type.Is(t) })
		if i < 0 {
			i = len(selections)
			selections = append(selections, Selection{Type: t})
		}
		if !slices.Contains(selections[i].Names, name) {
			selections[i].Names = append(selections[i].Names, name)
		}
	}
	return selections, nil
}

func parseTypeFirst(args []string) ([]Selection, error) {
	words, names := strings.Split(args[0], ","), args[1:]
	for _, name := range names {
		if strings.Contains(name, "/") {
			return nil, fmt.Errorf("%q: give either TYPE NAME… or TYPE/NAME…, not both", name)
		}
		if name == "" {
			return nil, fmt.Errorf("a name is empty")
		}
	}
	if len(words) > 1 && len(names) > 0 {
		return nil, fmt.Errorf("names after several types (%s) could be of any of them; use TYPE/NAME", args[0])
	}
	var selections []Selection
	for _, word := range words {
		t, err := ParseType(word)
		if err != nil {
			return nil, err
		}
		selections = append(selections, Selection{Type: t, Names: unique(names)})
	}
	return selections, nil
}

// ParseTypeName reads TYPE/NAME.
func ParseTypeName(arg string) (Type, string, error) {
	word, name, ok := strings.Cut(arg, "/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return Type{}, "", fmt.Errorf("%q is not TYPE/NAME, as in bundle/web", arg)
	}
	t, err := ParseType(word)
	return t, name, err
}

func unique(names []string) []string {
	var out []string
	for _, name := range names {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
