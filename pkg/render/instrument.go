package render

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"

	chart "helm.sh/helm/v4/pkg/chart/v2"
)

// Functions that templates get calls of.
const (
	markFunction  = "yardarmMark"
	enterFunction = "yardarmEnter"
)

// mark is called in each round of a loop and at the beginning of each named template. Its error has the place of the call, which is that of the loop.
func (c *worker) mark() (string, error) {
	if c.watch.exceeded() != "" {
		return "", errTooMuch
	}
	return "", nil
}

// enter is called at the beginning of each template that is a file.
func (c *worker) enter(name string) string {
	c.source.note(name)
	return ""
}

// instrument puts the calls into a chart's templates, and into those of the charts in it. Lines stay what they are, and what comes out too.
func (c *worker) instrument(ch *chart.Chart) {
	for _, t := range ch.Templates {
		text := marked(string(t.Data))
		if !strings.HasPrefix(path.Base(t.Name), "_") {
			text = fmt.Sprintf("{{%s %s}}", enterFunction, strconv.Quote(c.inChart(ch, strings.TrimPrefix(path.Join(ch.ChartFullPath(), t.Name), ch.Root().Name()+"/")))) + text
		}
		t.Data = []byte(text)
	}
	for _, part := range ch.Dependencies() {
		c.instrument(part)
	}
}

// marked puts a call of the mark at the beginning of each loop and each named template. A text that is no template stays as it is: the engine
// says what is wrong with it.
func marked(text string) string {
	tree := parse.New("marked")
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "{{", "}}", trees); err != nil {
		return text
	}
	var places []int
	for name, t := range trees {
		if t.Root == nil {
			continue
		}
		if name != "marked" {
			places = append(places, int(t.Root.Position()))
		}
		places = loops(places, t.Root)
	}
	slices.Sort(places)
	var b strings.Builder
	from := 0
	for _, at := range slices.Compact(places) {
		b.WriteString(text[from:at])
		b.WriteString("{{")
		if strings.HasPrefix(text[at:], "{{- ") || strings.HasPrefix(text[at:], "{{-\n") || strings.HasPrefix(text[at:], "{{-\t") || strings.HasPrefix(text[at:], "{{-\r") {
			b.WriteString("- ") // what it would have trimmed is in front of the call now
		}
		b.WriteString(markFunction + "}}")
		from = at
	}
	return b.String() + text[from:]
}

// loops adds where the bodies of loops begin.
func loops(places []int, node parse.Node) []int {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return places
		}
		for _, child := range n.Nodes {
			places = loops(places, child)
		}
	case *parse.RangeNode:
		places = append(places, int(n.List.Position()))
		places = loops(loops(places, n.List), n.ElseList)
	case *parse.IfNode:
		places = loops(loops(places, n.List), n.ElseList)
	case *parse.WithNode:
		places = loops(loops(places, n.List), n.ElseList)
	}
	return places
}
