package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// exitMemory is how a process ends that finds that it takes too much.
const exitMemory = 77

// Child renders, and ends the process, if [Render] has started it for that; otherwise it does nothing. Each program that renders calls it first of all: before
// it reads its command line, its environment or any file.
func Child() {
	if len(os.Args) != 1 || os.Args[0] != childName {
		return
	}
	os.Exit(child(os.Stdin, os.Stdout))
}

// worker is the process that renders.
type worker struct {
	job       job
	rendering *yardarmv1.Rendering
	variant   *yardarmv1.Variant
	source    *remote
	watch     *watch
	warnings  []string
}

func child(in io.Reader, out io.Writer) int {
	// What libraries log quotes values.
	log.SetOutput(io.Discard)
	time.Local = time.UTC
	w := newWire(in, out, defaultBytes)
	kind, content, err := w.receive()
	if err != nil || kind != frameJob {
		return 1
	}
	c := worker{rendering: &yardarmv1.Rendering{}, variant: &yardarmv1.Variant{}, source: &remote{wire: w}}
	if err := json.Unmarshal(content, &c.job); err != nil {
		return 1
	}
	if err := protojson.Unmarshal(c.job.Rendering, c.rendering); err != nil {
		return 1
	}
	if err := protojson.Unmarshal(c.job.Variant, c.variant); err != nil {
		return 1
	}
	c.source.tops = c.job.Tops
	w.max = c.job.Limits.Bytes + maxMessage
	if err := confine(c.job.Limits); err != nil {
		return c.finish(nil, fmt.Errorf("render: confine the process: %w", err))
	}
	c.watch = newWatch(c.job.Limits)
	defer c.watch.stop()
	files, err := c.render()
	return c.finish(files, err)
}

func (c *worker) render() (files []manifest.File, err error) {
	// Libraries panic on some input. It is the source's, and where it came from goes with it.
	defer func() {
		if r := recover(); r != nil {
			err = manifest.Problem{File: c.source.at, Message: fmt.Sprintf("cannot be rendered: %s", firstLine(fmt.Sprint(r)))}
		}
	}()
	debug.SetMaxStack(c.job.Limits.Memory)
	if c.rendering.GetType() == yardarmv1.RenderKustomize {
		files, err = c.kustomize()
	} else {
		files, err = c.helm()
	}
	return files, cmp.Or(c.source.failed, err)
}

// finish tells what came out, and answers the exit code.
func (c *worker) finish(files []manifest.File, err error) int {
	w := c.source.wire
	if err != nil {
		if w.sendJSON(frameFailed, failureOf(err)) != nil {
			return 1
		}
		return 0
	}
	for _, f := range files {
		if w.writeFile(f.Path, f.Data) != nil {
			return 1
		}
	}
	if w.sendJSON(frameDone, c.warnings) != nil {
		return 1
	}
	return 0
}

func (c *worker) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, said := range c.warnings {
		if said == text {
			return
		}
	}
	if len(c.warnings) < maxWarnings {
		c.warnings = append(c.warnings, text)
	}
}
