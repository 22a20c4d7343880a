package manifest

import "errors"

// Limits bound what reading and parsing may cost. A zero field means its default.
type Limits struct {
	// Files is the number of files that ReadDir and Parse accept. Default 10,000: two orders of magnitude above large deployments.
	Files int
	// DirDepth is how deep ReadDir descends below its root. Default 32.
	DirDepth int
	// Bytes is the size of all files together, and separately of the canonical form. Default 64 MiB: what a hub is
	// willing to hold and send as one artifact.
	Bytes int
	// DocumentBytes is the size of one YAML or JSON document. Default 8 MiB: while it is parsed, a document takes up to a hundred times
	// its size in memory. Only List documents get anywhere near it.
	DocumentBytes int
	// Objects is the number of objects in a set. Default 50,000.
	Objects int
	// ObjectBytes is the size of one object in canonical form. Default 1.5 MiB: etcd refuses larger requests, so no
	// cluster could store it.
	ObjectBytes int
}

const (
	defaultFiles         = 10_000
	defaultDirDepth      = 32
	defaultBytes         = 64 << 20
	defaultDocumentBytes = 8 << 20
	defaultObjects       = 50_000
	defaultObjectBytes   = 3 << 19

	// maxDepth is how deep maps and lists may nest in an object, the object itself being level 1. The deepest that Kubernetes' own types and
	// CRD schemas get is about 30; the bound keeps every recursion over an object shallow.
	maxDepth = 64
	// maxAliasNodes is how many values a document may create by YAML aliases. Anchors save typing in label sets and environment
	// lists; a document that multiplies itself beyond this is an attack.
	maxAliasNodes = 100_000
)

// Errors that name an exceeded limit; errors.Is finds them in what Parse, Decode, NewSet and ReadDir return.
var (
	ErrTooManyFiles     = errors.New("too many files")
	ErrTooManyObjects   = errors.New("too many objects")
	ErrArtifactTooLarge = errors.New("manifests are too large")
	ErrDocumentTooLarge = errors.New("document is too large")
	ErrObjectTooLarge   = errors.New("object is larger than etcd accepts in one request")
	ErrTooDeep          = errors.New("nested too deeply")
	ErrAliasBomb        = errors.New("yaml aliases expand too far")
)

func (l Limits) withDefaults() Limits {
	fill := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	fill(&l.Files, defaultFiles)
	fill(&l.DirDepth, defaultDirDepth)
	fill(&l.Bytes, defaultBytes)
	fill(&l.DocumentBytes, defaultDocumentBytes)
	fill(&l.Objects, defaultObjects)
	fill(&l.ObjectBytes, defaultObjectBytes)
	return l
}
