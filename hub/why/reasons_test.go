package why

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// reasonPrefix begins the names of the reasons among the words of the messages.
const reasonPrefix = "Why"

// inspect walks through Go files, tests left out.
func inspect(t *testing.T, pattern string, visit func(ast.Node) bool) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, visit)
	}
}

// The reasons are a closed set: each is a word of yardarmv1, listed there once, and given here; and nothing else is given.
// That each arises for real is seen to in e2e/stream (TestWhyReasonsAreProduced).
func TestReasonsAreAClosedSet(t *testing.T) {
	words := map[string]string{} // values of constants, by name
	inspect(t, "../../proto/yardarm/v1/words.go", func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, reasonPrefix) {
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				words[spec.Names[0].Name] = constant.StringVal(constant.MakeFromLiteral(literal.Value, literal.Kind, 0))
			}
		}
		return true
	})
	given := map[string]bool{}
	inspect(t, "*.go", func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "yardarmv1" && strings.HasPrefix(n.Sel.Name, reasonPrefix) {
				given[n.Sel.Name] = true
			}
		case *ast.CallExpr:
			at, method := map[string]int{"stop": 0, "keep": 1}, ""
			if s, ok := n.Fun.(*ast.SelectorExpr); ok {
				method = s.Sel.Name
			}
			if i, ok := at[method]; ok {
				if literal, ok := n.Args[i].(*ast.BasicLit); ok {
					t.Errorf("%s is given %s, which is no word of yardarmv1", method, literal.Value)
				}
			}
		}
		return true
	})
	if len(words) == 0 || len(words) != len(yardarmv1.WhyReasons) {
		t.Errorf("%d reasons are words, and %d are listed", len(words), len(yardarmv1.WhyReasons))
	}
	for name, value := range words {
		if n := len(slices.DeleteFunc(slices.Clone(yardarmv1.WhyReasons), func(r string) bool { return r != value })); n != 1 {
			t.Errorf("%s is listed %d times", name, n)
		}
		if !given[name] {
			t.Errorf("%s is never given", name)
		}
		if reasonPrefix+value != name {
			t.Errorf("%s is %q", name, value)
		}
	}
}
