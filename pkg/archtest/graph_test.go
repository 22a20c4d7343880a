package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/yardarm-dev/yardarm"

// graph is who imports whom. Our own packages go by their folder, "." being the top one.
type graph struct {
	imports map[string][]string
	// local are our own packages.
	local map[string]bool
}

// load asks the go command for the packages of this module and all that they link, without tests.
func load(t *testing.T) *graph {
	t.Helper()
	// The go command caches a test's result by the files that the test opened itself. It does not see what go list reads, so
	// without this a new import elsewhere would go unnoticed.
	sources(t)

	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,DepOnly,Error", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	g := &graph{imports: map[string][]string{}, local: map[string]bool{}}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
			DepOnly    bool
			Error      *struct{ Err string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list's answer: %v", err)
		}
		if p.Error != nil {
			// Its imports may be unknown, and so may be what they would break.
			t.Errorf("load %s: %s", p.ImportPath, p.Error.Err)
		}
		name := short(p.ImportPath)
		for _, i := range p.Imports {
			g.imports[name] = append(g.imports[name], short(i))
		}
		if !p.DepOnly {
			g.local[name] = true
		}
	}
	if len(g.local) == 0 {
		t.Fatal("go list found no packages")
	}
	return g
}

// made is the graph in which each of the packages imports the next one.
func made(chain ...string) *graph {
	g := &graph{imports: map[string][]string{}, local: map[string]bool{}}
	for i, p := range chain {
		g.local[p] = ours(p)
		if i > 0 {
			g.imports[chain[i-1]] = []string{p}
		}
	}
	return g
}

// check answers one chain of imports for each package that the rule is about and each that it must not reach.
func (g *graph) check(r rule) []string {
	var broken []string
	for _, from := range g.packages() {
		if !matches(r.from, from) || matches(r.except, from) {
			continue
		}
		came := map[string]string{from: ""} // each package reached, and from where: breadth first, so chains are short
		for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			if at != from && (r.direct || matches(r.through, at)) {
				continue
			}
			for _, to := range g.imports[at] {
				if _, seen := came[to]; seen {
					continue
				}
				came[to] = at
				if matches(r.deny, to) || r.only != nil && g.local[to] && !matches(r.only, to) {
					broken = append(broken, chain(came, to))
					continue // what it imports is its own affair
				}
				queue = append(queue, to)
			}
		}
	}
	return broken
}

// chain writes how a package was reached.
func chain(came map[string]string, to string) string {
	path := []string{to}
	for at := came[to]; at != ""; at = came[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	return strings.Join(path, " → ")
}

// packages are our own, in order.
func (g *graph) packages() []string {
	var names []string
	for name, local := range g.local {
		if local {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// own says whether a rule's name means packages of ours.
func (g *graph) own(pattern string) bool { return ours(strings.TrimSuffix(pattern, "/...")) }

// exists says whether a rule's name means any package at all.
func (g *graph) exists(pattern string) bool {
	for name := range g.imports {
		if match(pattern, name) {
			return true
		}
	}
	return slices.ContainsFunc(g.packages(), func(name string) bool { return match(pattern, name) })
}

// short is a package's name in rules: its folder, if it is ours.
func short(path string) string {
	if path == module {
		return "."
	}
	if folder, ok := strings.CutPrefix(path, module+"/"); ok {
		return folder
	}
	return path
}

// ours tells our folders from import paths.
func ours(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{".", "hub", "spoke", "pkg", "proto", "e2e", "bench", "deploy"}, first)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, name) })
}

func match(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == below || strings.HasPrefix(name, below+"/")
	}
	return name == pattern
}

func contains(list []string, name string) bool { return slices.Contains(list, name) }

// example is a package that a pattern means.
func example(pattern string) string {
	if pattern == "..." {
		return "hub/example"
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return below + "/example"
	}
	return pattern
}
