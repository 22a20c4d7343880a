package healthrule

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/interpreter"
)

const (
	// MaxText is how long an expression may be, in bytes.
	MaxText = 4 << 10
	// maxCost is what one evaluation may cost, in CEL's units, about one for each operation or visited element. A look through ten conditions costs
	// about a hundred; at the limit an evaluation takes one or two milliseconds (BenchmarkCostLimit), and a spoke judges 40 objects at a time.
	maxCost = 10_000
	// maxRegex is how large a regular expression in a literal may be, in instructions of Go's regexp/syntax.
	maxRegex = 1_000
	// maxIssues is how many errors of one expression are listed; the later ones mostly follow from the first.
	maxIssues = 3
)

// expression is a compiled one of the three that a rule has.
type expression struct {
	field   string
	program cel.Program
}

// resultType is what an expression is to come to. What a field of the object is shows at evaluation only.
type resultType struct {
	name string
	cel  *cel.Type
}

var (
	boolean = resultType{"bool", cel.BoolType}
	text    = resultType{"string", cel.StringType}
)

// environment is made when the first rule is compiled: most spokes never have one, and it takes memory.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("object", cel.DynType),
		cel.ParserExpressionSizeLimit(MaxText),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)
})

func compile(field, text string, want resultType) (*expression, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("is longer than %d bytes", MaxText)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, compileError(issues)
	}
	if got := checked.OutputType(); !got.IsExactType(want.cel) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("comes to %s, not %s", cel.FormatCELType(got), want.name)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return nil, err
	}
	return &expression{field, program}, nil
}

// compileError is what is wrong with a text, as line:column: message.
func compileError(issues *cel.Issues) error {
	var parts []string
	for _, issue := range issues.Errors()[:min(len(issues.Errors()), maxIssues)] {
		// The parser's list of all tokens that could have followed helps nobody.
		message, _, _ := strings.Cut(issue.Message, " expecting {")
		parts = append(parts, fmt.Sprintf("%d:%d: %s", max(issue.Location.Line(), 1), max(issue.Location.Column()+1, 1), message))
	}
	return errors.New(strings.Join(parts, "; "))
}

// holds evaluates to a bool. With an error, the answer is false.
func (e *expression) holds(object map[string]any) (bool, error) {
	value, err := e.eval(object)
	if err != nil {
		return false, err
	}
	answer, ok := value.(bool)
	if !ok {
		return false, e.failed("it does not come to a bool")
	}
	return answer, nil
}

// says evaluates to a string.
func (e *expression) says(object map[string]any) (string, error) {
	value, err := e.eval(object)
	if err != nil {
		return "", err
	}
	answer, ok := value.(string)
	if !ok {
		return "", e.failed("it does not come to a string")
	}
	return answer, nil
}

func (e *expression) eval(object map[string]any) (any, error) {
	result, _, err := e.program.Eval(map[string]any{"object": object})
	if err != nil {
		return nil, e.failed(cause(err))
	}
	return result.Value(), nil
}

func (e *expression) failed(why string) error {
	return fmt.Errorf("its health rule's expression %q cannot be evaluated: %s", e.field, why)
}

// cause says why an evaluation failed, without values of the object, which CEL's own text may quote.
func cause(err error) string {
	var cancelled interpreter.EvalCancelledError
	message := err.Error()
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded:
		return "it costs too much"
	case strings.HasPrefix(message, "no such key: "):
		return message
	case strings.HasPrefix(message, "no such overload"):
		return "it uses a value of another type than it expects"
	case strings.HasPrefix(message, "index out of bounds"):
		return "it reads past the end of a list"
	}
	return "it fails on a value of the object"
}
