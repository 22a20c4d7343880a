package cli

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
)

// lineInterval is how often progress is written where it is kept: a log of a fleet of thousands should not have a line for each cluster.
const lineInterval = time.Second

// line shows progress on standard error: on a terminal as one line that is rewritten, otherwise as lines of their own, not too many.
type line struct {
	app     *app
	text    string    // what is to be shown
	shown   string    // what is
	written time.Time // when a line of its own was written last
	drawn   bool      // there is a line to rewrite
}

func (a *app) newLine() *line { return &line{app: a} }

// set shows a text, unless it is what is shown already.
func (l *line) set(format string, args ...any) {
	l.text = table.Clean(fmt.Sprintf(format, args...))
	l.flush()
}

// flush shows what has been held back, if it is time.
func (l *line) flush() {
	if l.text == l.shown {
		return
	}
	if !l.app.io.ErrTerminal {
		if now := l.app.io.Now(); l.written.IsZero() || now.Sub(l.written) >= lineInterval {
			l.app.say("%s", l.text)
			l.shown, l.written = l.text, now
		}
		return
	}
	text := l.text
	// A line that wraps could not be rewritten.
	if width := l.app.io.Width(); width > 1 && utf8.RuneCountInString(text) >= width {
		text = string([]rune(text)[:width-2]) + "…"
	}
	fmt.Fprintf(l.app.io.Err, "\r\x1b[K%s", text)
	l.shown, l.drawn = l.text, true
}

// say writes a line of its own above the progress.
func (l *line) say(text string) {
	if !l.drawn {
		l.app.say("%s", text)
		return
	}
	progress := l.text
	l.clear()
	l.app.say("%s", text)
	l.set("%s", progress)
}

// clear takes the line away, so that something else can be written.
func (l *line) clear() {
	if l.drawn {
		fmt.Fprint(l.app.io.Err, "\r\x1b[K")
	}
	l.text, l.shown, l.drawn = "", "", false
}
