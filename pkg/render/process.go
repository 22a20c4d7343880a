package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// childName is what a program is called, in place of its own name, when it is to render. Its environment is empty, and it has no arguments.
const childName = "yardarm-render"

const (
	// grace is how much longer than it may run a process has to say by itself what took so long, before it is ended.
	grace = 2 * time.Second
	// maxComplaint is how much of what a process that breaks down says is looked at: its first lines say why.
	maxComplaint = 8 << 10
)

// job is what a process is told to do.
type job struct {
	Path, Name, Namespace string
	Rendering, Variant    json.RawMessage
	// Bases are where references lead to what is not in the source, and Tops the directories that those are seen in.
	Bases  map[string]string `json:",omitempty"`
	Tops   []string          `json:",omitempty"`
	Limits Limits
}

// process renders in a process of its own, which gets what it reads of the source through a pipe.
type process struct {
	in       Input
	wire     *wire
	reader   reader
	at       string // what it works at, or read last
	out      Output
	size     int
	finished bool
}

func inProcess(ctx context.Context, in Input) (Output, error) {
	if os.Args[0] == childName {
		return Output{}, errors.New("render: this process was started to render and did not call render.Child")
	}
	rendering, err := protojson.Marshal(in.Rendering)
	if err != nil {
		return Output{}, fmt.Errorf("render: %w", err)
	}
	variant, err := protojson.Marshal(in.Variant)
	if err != nil {
		return Output{}, fmt.Errorf("render: %w", err)
	}
	deadline, cancel := context.WithTimeout(ctx, in.Limits.Time+grace)
	defer cancel()
	cmd, err := command(deadline)
	if err != nil {
		return Output{}, fmt.Errorf("render: %w", err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Output{}, fmt.Errorf("render: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Output{}, fmt.Errorf("render: %w", err)
	}
	complaint := &head{max: maxComplaint}
	cmd.Stderr = complaint
	if err := cmd.Start(); err != nil {
		return Output{}, fmt.Errorf("render: start a process: %w", err)
	}
	p := &process{in: in, wire: newWire(stdout, stdin, in.Limits.Bytes), reader: reader{fs: in.withBases(), limits: in.Limits}, at: in.Path, out: Output{Type: in.Rendering.GetType()}}
	refs, tops := in.places()
	err = p.serve(job{Path: in.Path, Name: in.Name, Namespace: in.Namespace, Rendering: rendering, Variant: variant, Bases: refs, Tops: tops, Limits: in.Limits})
	cancel() // whatever it still does
	ended := cmd.Wait()
	switch {
	case p.finished:
		return p.out, err
	case ctx.Err() != nil:
		return Output{}, ctx.Err()
	case errors.Is(err, ErrLimit):
		return Output{}, manifest.Problem{File: p.at, Message: fmt.Sprintf("here or before, more than %d bytes came out", in.Limits.Bytes), Err: ErrLimit}
	case errors.Is(deadline.Err(), context.DeadlineExceeded):
		return Output{}, p.tooLong()
	}
	return Output{}, p.broken(complaint.String(), ended)
}

// command is this program once more, with nothing of its surroundings.
func command(ctx context.Context) (*exec.Cmd, error) {
	self := "/proc/self/exe" // also of a program whose file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = []string{childName}
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.WaitDelay = grace
	return cmd, nil
}

// serve answers what the process asks for until it has finished. An error is the source's if it has finished, and says otherwise that it breaks down.
func (p *process) serve(j job) error {
	if err := p.wire.sendJSON(frameJob, j); err != nil {
		return err
	}
	for {
		kind, content, err := p.wire.receive()
		if err != nil {
			return err
		}
		switch kind {
		case frameRead:
			err = p.read(string(content))
		case frameList:
			err = p.list(string(content))
		case frameAt:
			p.at = string(content)
		case frameFile:
			err = p.file(content)
		case frameDone:
			p.finished = json.Unmarshal(content, &p.out.Warnings) == nil
			return nil
		case frameFailed:
			var f failure
			p.finished = json.Unmarshal(content, &f) == nil
			return f.err()
		default:
			err = fmt.Errorf("a frame of kind %q", kind)
		}
		if err != nil {
			return err
		}
	}
}

func (p *process) read(name string) error {
	p.at = name
	data, err := p.reader.read(name)
	if err != nil {
		return p.wire.sendJSON(frameProblem, failureOf(err))
	}
	return p.wire.send(frameContent, data)
}

func (p *process) list(name string) error {
	entries, err := p.reader.list(name)
	if err != nil {
		return p.wire.sendJSON(frameProblem, failureOf(err))
	}
	return p.wire.sendJSON(frameEntries, entries)
}

func (p *process) file(content []byte) error {
	name, data, err := splitFile(content)
	if err != nil {
		return err
	}
	p.at = name
	if p.size += len(data); p.size > p.in.Limits.Bytes || len(p.out.Files) >= p.in.Limits.Files {
		return ErrLimit
	}
	if !fs.ValidPath(name) {
		return fmt.Errorf("a file %q", name)
	}
	p.out.Files = append(p.out.Files, manifest.File{Path: name, Data: data})
	return nil
}

func (p *process) tooLong() error {
	return manifest.Problem{File: p.at, Message: fmt.Sprintf("takes longer than %s to render", p.in.Limits.Time), Err: ErrLimit}
}

// broken says why a process ended without a word, by what its runtime says of it.
func (p *process) broken(complaint string, ended error) error {
	var exit *exec.ExitError
	switch {
	case strings.Contains(complaint, "out of memory"), strings.Contains(complaint, "cannot allocate memory"), errors.As(ended, &exit) && exit.ExitCode() == exitMemory:
		return manifest.Problem{File: p.at, Message: fmt.Sprintf("takes more than %d MiB of memory to render", p.in.Limits.Memory>>20), Err: ErrLimit}
	case strings.Contains(complaint, "stack overflow"), strings.Contains(complaint, "stack exceeds"):
		return manifest.Problem{File: p.at, Message: "calls itself without end", Err: ErrLimit}
	case errors.As(ended, &exit) && strings.Contains(exit.Error(), "CPU time limit"):
		return p.tooLong()
	}
	why, _, _ := strings.Cut(strings.TrimSpace(complaint), "\n")
	return fmt.Errorf("render: the process ended at %s: %w: %s", p.at, errors.Join(ended, errSilent), why)
}

var errSilent = errors.New("it has not said what came out")

// head keeps the beginning of what is written to it.
type head struct {
	bytes.Buffer
	max int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.max-h.Len())])
	return len(p), nil
}

var _ io.Writer = (*head)(nil)
