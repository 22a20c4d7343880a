// Package table writes aligned columns, the way kubectl does, with colours that do not disturb the alignment. What it is given may come from clusters
// that nobody here controls, so it lets nothing through that would move the cursor of a terminal.
package table

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Color is how a cell is shown on a terminal.
type Color string

// Colors, as the parameters of ANSI's "select graphic rendition".
const (
	Plain  Color = ""
	Green  Color = "32"
	Yellow Color = "33"
	Red    Color = "31"
	Gray   Color = "90"
)

// Cell is one field of a row.
type Cell struct {
	Text  string
	Color Color
}

// Text makes a cell without a colour.
func Text(text string) Cell { return Cell{Text: text} }

const (
	// gap is between columns, in spaces, as in kubectl.
	gap = 3
	// none stands for an empty cell, so that a script that splits at spaces finds its columns.
	none = "<none>"
)

// Table is a header and rows. The widths of columns only grow, so that rows that are written later stay under the earlier ones where they can.
type Table struct {
	// Colors turns colours on.
	Colors bool

	header []string
	rows   [][]Cell
	widths []int
	headed bool
}

// New makes a table without rows.
func New(header ...string) *Table {
	t := &Table{header: header, widths: make([]int, len(header))}
	for i, text := range header {
		t.widths[i] = utf8.RuneCountInString(text)
	}
	return t
}

// Add adds a row. It has as many cells as the header.
func (t *Table) Add(cells ...Cell) {
	row := make([]Cell, len(t.header))
	for i := range row {
		cell := Text("")
		if i < len(cells) {
			cell = cells[i]
		}
		cell.Text = Clean(cell.Text)
		if cell.Text == "" {
			cell = Cell{Text: none}
		}
		row[i] = cell
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell.Text))
	}
	t.rows = append(t.rows, row)
}

// Len returns the number of rows that have not been written yet.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo writes the header, if it was not written yet, and the rows added since the last call.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	if !t.headed {
		header := make([]Cell, len(t.header))
		for i, text := range t.header {
			header[i] = Text(text)
		}
		t.line(&b, header)
		t.headed = true
	}
	for _, row := range t.rows {
		t.line(&b, row)
	}
	t.rows = nil
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (t *Table) line(b *strings.Builder, row []Cell) {
	for i, cell := range row {
		b.WriteString(Paint(cell.Text, cell.Color, t.Colors))
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell.Text)+gap))
		}
	}
	b.WriteByte('\n')
}

// Paint puts a colour around a text, if colours are on.
func Paint(text string, color Color, on bool) string {
	if !on || color == Plain {
		return text
	}
	return "\x1b[" + string(color) + "m" + text + "\x1b[0m"
}

// Clean makes one line of a text and takes everything out of it that a terminal would act on.
func Clean(text string) string {
	if strings.IndexFunc(text, unsafe) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case !unsafe(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '\uFFFD'
	}, text)
}

// unsafe tells control characters, and those that change the direction of what follows them.
func unsafe(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
