package selector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/interpreter"
)

const (
	// maxCost is what one evaluation may cost, in CEL's units, about one for each operation or visited element. Expressions that people write for
	// groups cost less than a hundred; at the limit an evaluation takes a fraction of a millisecond (BenchmarkCostLimit), so that a bad group
	// delays the placement of ten thousand clusters by seconds at most.
	maxCost = 10_000
	// maxRegex is how large a regular expression in a literal may be, in instructions of Go's regexp/syntax.
	maxRegex = 1_000
	// maxIssues is how many errors of one expression are listed; the later ones mostly follow from the first.
	maxIssues = 10
)

// Errors of Eval. Each means that the expression says neither yes nor no about a cluster, which therefore is no match; and that whoever asked should be
// told.
var (
	// ErrMissingKey says that the expression needs a label or fact that the cluster does not have. has(labels.x) and "x" in labels ask for it
	// without this error.
	ErrMissingKey = errors.New("cluster lacks a label or fact that the expression needs")
	// ErrCostLimit says that the evaluation was ended because it cost too much.
	ErrCostLimit = errors.New("expression costs too much to evaluate")
)

// Expression is a compiled CEL expression that selects clusters. It is safe for concurrent use.
type Expression struct {
	text       string
	program    cel.Program
	readsFacts bool
	facts      []string
}

// CompileError lists what is wrong with the text of an expression.
type CompileError struct {
	Issues []Issue
}

// Issue is one thing that is wrong with an expression.
type Issue struct {
	Line, Column int // 1-based; columns count characters
	Message      string
}

// Error returns the issues as line:column: message, separated by semicolons.
func (e *CompileError) Error() string {
	parts := make([]string, len(e.Issues))
	for i, issue := range e.Issues {
		parts[i] = fmt.Sprintf("%d:%d: %s", issue.Line, issue.Column, issue.Message)
	}
	return "expression: " + strings.Join(parts, "; ")
}

// Compile checks and plans an expression in CEL's standard language over these variables:
//
//	name    string               the cluster's name
//	labels  map(string, string)  set by people
//	facts   map(string, dyn)     reported by the spoke
//
// Its result must be a bool. The error is a [*CompileError], or wraps [ErrTooLong].
func Compile(text string) (*Expression, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("expression: %w", ErrTooLong)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("expression: %w", err)
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, compileError(issues)
	}
	if got := checked.OutputType(); !got.IsExactType(cel.BoolType) {
		return nil, &CompileError{Issues: []Issue{{Line: 1, Column: 1,
			Message: fmt.Sprintf("the result is %s, not bool; compare it with something", cel.FormatCELType(got))}}}
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, &CompileError{Issues: []Issue{{Line: 1, Column: 1, Message: err.Error()}}}
	}
	return &Expression{text: text, program: program, readsFacts: reads(checked.NativeRep(), "facts"), facts: selected(checked.NativeRep(), "facts")}, nil
}

// Eval tells whether a cluster is selected. Values in facts are those of JSON: map[string]any, []any, string, bool, nil, and any integer or
// float64. With an error, the answer is false; the error wraps [ErrMissingKey] or [ErrCostLimit], or says what else went wrong, such as a
// comparison of a text with a number.
func (e *Expression) Eval(name string, labels map[string]string, facts map[string]any) (bool, error) {
	result, _, err := e.program.Eval(map[string]any{"name": name, "labels": labels, "facts": facts})
	if err != nil {
		return false, evalError(err)
	}
	selected, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("expression: the result is %s, not bool", result.Type().TypeName())
	}
	return selected, nil
}

// ReadsFacts tells whether the expression mentions facts, so that its result depends on what a spoke reports. It errs on the side of yes.
func (e *Expression) ReadsFacts() bool { return e.readsFacts }

// Facts answers the names of the facts that the expression selects by name, as in facts.nodes, sorted. One that is computed is not among them.
func (e *Expression) Facts() []string { return slices.Clone(e.facts) }

// String returns the text that was compiled.
func (e *Expression) String() string { return e.text }

// environment is made once: it takes a millisecond and does not change.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("name", cel.StringType),
		cel.Variable("labels", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("facts", cel.MapType(cel.StringType, cel.DynType)),
		cel.ParserExpressionSizeLimit(MaxText),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)
})

func compileError(issues *cel.Issues) *CompileError {
	out := &CompileError{}
	for _, issue := range issues.Errors()[:min(len(issues.Errors()), maxIssues)] {
		// The parser's list of all tokens that could have followed helps nobody.
		message, _, _ := strings.Cut(issue.Message, " expecting {")
		out.Issues = append(out.Issues, Issue{
			// Errors about the whole have no position of their own.
			Line:    max(issue.Location.Line(), 1),
			Column:  max(issue.Location.Column()+1, 1),
			Message: message,
		})
	}
	return out
}

// evalError names the errors that callers tell apart. CEL has no type for a missing key, only a text.
func evalError(err error) error {
	var cancelled interpreter.EvalCancelledError
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded:
		return fmt.Errorf("expression: %w", ErrCostLimit)
	case strings.HasPrefix(err.Error(), "no such key: "):
		return fmt.Errorf("expression: %w: %s", ErrMissingKey, clip(strings.TrimPrefix(err.Error(), "no such key: ")))
	default:
		return fmt.Errorf("expression: %w", err)
	}
}

// selected lists the fields that are selected from variable by name.
func selected(checked *ast.AST, variable string) []string {
	var names []string
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind {
			return
		}
		s := e.AsSelect()
		if o := s.Operand(); o.Kind() == ast.IdentKind && strings.TrimPrefix(o.AsIdent(), ".") == variable {
			names = append(names, s.FieldName())
		}
	}))
	slices.Sort(names)
	return slices.Compact(names)
}

// reads tells whether any identifier of the checked expression resolved to variable. A variable of a macro that has the same name counts, too.
func reads(checked *ast.AST, variable string) bool {
	found := false
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && strings.TrimPrefix(e.AsIdent(), ".") == variable {
			found = true
		}
		if ref := checked.ReferenceMap()[e.ID()]; ref != nil && ref.Name == variable {
			found = true
		}
	}))
	return found
}
