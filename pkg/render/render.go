package render

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Input is what is to be rendered, and how.
type Input struct {
	// FS is the whole source, such as a repository at a commit or a directory; nothing outside of it is read. It must contain symbolic links itself, as
	// that of [os.Root] does. Of a large one only what is needed is read.
	FS fs.FS
	// Path is the directory in FS that is rendered, slash-separated; "" is its top. For type "helm" it may also be a chart's archive (.tgz).
	Path string
	// Rendering says how. Nil is by what is in the directory.
	Rendering *yardarmv1.Rendering
	// Variant says how it differs from other renderings of the same. Nil is not at all.
	Variant *yardarmv1.Variant
	// Bases are what kustomizations refer to that is not in the source, by the reference. What is not among them is an [Elsewhere].
	Bases map[string]Base
	// Name is the bundle's: a chart's release has it if it is given no other.
	Name string
	// Namespace is the one that the bundle's objects go to which name none. Default: "default".
	Namespace string
	// Limits bound what it may cost.
	Limits Limits
}

// Output is what came out.
type Output struct {
	// Type is how it was rendered: one of the yardarmv1.Render words.
	Type string
	// Files are ready for [manifest.Parse], ascending by path. Paths are those in the source of what each was rendered from.
	Files []manifest.File
	// Warnings are for whoever published the source, each a line.
	Warnings []string
}

// Limits bound what rendering may cost. A zero field means its default.
type Limits struct {
	// Files is how many files may be read, or come out. Default 10,000.
	Files int
	// Bytes is the size of all that is read, and separately of what comes out. Default 64 MiB, as for artifacts.
	Bytes int
	// Memory is what the process that renders may take. Default 512 MiB: a hundred times what large charts take.
	Memory int
	// Time is how long it may run. Default 30 s: as memory.
	Time time.Duration
}

const (
	defaultFiles  = 10_000
	defaultBytes  = 64 << 20
	defaultMemory = 512 << 20
	defaultTime   = 30 * time.Second
	// maxDepth is how many directories may be in each other.
	maxDepth = 32
	// maxWarnings is how many are told; more do not help.
	maxWarnings = 20
)

// ErrLimit is in errors that say that a source takes more than it may.
var ErrLimit = errors.New("rendering takes more than it may")

// Render renders a directory. What is wrong with the source is a [manifest.Problem], or several as a [*manifest.Problems], which name file and line as far as
// they are known; any other error is the hub's own, and the same source may be rendered later.
func Render(ctx context.Context, in Input) (Output, error) {
	in.Limits = in.Limits.withDefaults()
	if err := in.settle(); err != nil {
		return Output{}, err
	}
	out := Output{Type: in.Rendering.GetType()}
	var err error
	if out.Type == yardarmv1.RenderPlain {
		out.Files, err = plain(ctx, in)
	} else {
		out, err = inProcess(ctx, in)
	}
	if err != nil {
		return Output{}, err
	}
	if err := out.sift(in.Rendering.GetHooks() == yardarmv1.HooksSkip); err != nil {
		return Output{}, err
	}
	slices.SortFunc(out.Files, func(a, b manifest.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Files: cmp.Or(max(l.Files, 0), defaultFiles), Bytes: cmp.Or(max(l.Bytes, 0), defaultBytes),
		Memory: cmp.Or(max(l.Memory, 0), defaultMemory), Time: cmp.Or(max(l.Time, 0), defaultTime),
	}
}

// settle checks the input, and fills in what it leaves open.
func (in *Input) settle() error {
	name, err := within(".", in.Path)
	if err != nil {
		return manifest.Problem{File: in.Path, Message: "the path " + err.Error()}
	}
	if in.Path, err = within(name, in.Variant.GetPath()); err != nil {
		return manifest.Problem{File: in.Variant.GetPath(), Message: "the path " + err.Error()}
	}
	in.Namespace = cmp.Or(in.Namespace, "default")
	rendering := &yardarmv1.Rendering{}
	if in.Rendering != nil {
		rendering = proto.CloneOf(in.Rendering)
	}
	if rendering.Type == "" {
		if rendering.Type, err = Detect(in.FS, in.Path); err != nil {
			return err
		}
	}
	in.Rendering = rendering
	if err := Check(rendering); err != nil {
		return in.misfit("rendering.", err)
	}
	if err := CheckVariant(rendering, in.Variant); err != nil {
		return in.misfit("variant.", err)
	}
	return nil
}

// misfit is the problem of a directory that is not what its rendering is for: what is wrong whatever it is used for, is refused before.
func (in *Input) misfit(part string, err error) error {
	field, message, _ := strings.Cut(err.Error(), ": ")
	return manifest.Problem{File: in.Path, Field: part + field, Message: message}
}
