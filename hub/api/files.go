package api

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxKeptPath is the longest path of a file that is kept, in bytes: each problem of a report carries one.
	maxKeptPath = 512
	// maxKeptPaths bounds the paths of one artifact together, in bytes, since its row is in memory: ten thousand of them, as people name files.
	maxKeptPaths = 1 << 20
)

// keepFiles notes in an artifact's row which file each of its objects comes from. Those of a path beyond the bounds have none: a path is a help, and
// no reason to refuse what can be delivered.
func keepFiles(row *storev1.Artifact, fileOf map[string]string) {
	places := make(map[string]uint32) // from 1; 0 for a path that is not kept
	size := 0
	row.ObjectFiles = make([]uint32, len(row.Objects))
	for i, key := range row.Objects {
		path := fileOf[key]
		place, seen := places[path]
		if !seen {
			if path != "" && len(path) <= maxKeptPath && size+len(path) <= maxKeptPaths {
				size += len(path)
				row.Files = append(row.Files, path)
				place = uint32(len(row.Files))
			}
			places[path] = place
		}
		row.ObjectFiles[i] = place
	}
}

// moved is an artifact's row with the files that its objects come from in another; nil if they are the same.
func moved(row, newer *storev1.Artifact) *storev1.Artifact {
	if slices.Equal(row.GetFiles(), newer.GetFiles()) && slices.Equal(row.GetObjectFiles(), newer.GetObjectFiles()) {
		return nil
	}
	row = proto.CloneOf(row)
	row.Files, row.ObjectFiles = newer.Files, newer.ObjectFiles
	return row
}

// files tells which file each object of one of a revision's artifacts was published from. The zero value knows none.
type files struct {
	artifact  *storev1.Artifact
	namespace string // of objects that name none
}

// files are those of the artifact with the digest, as a spoke names it: of no other than the revision's.
func (v view) files(bundleUID string, revision uint32, digest string) files {
	rev := v.Revision(bundleUID, revision)
	of := rev.GetSpec().Artifacts()[0].GetDigest()
	if slices.Contains(rev.GetSpec().Digests(), digest) {
		of = digest
	}
	return files{v.Artifact(of), cmp.Or(rev.GetSpec().GetDelivery().GetNamespace(), defaultNamespace)}
}

// of answers the file of an object, named as the cluster does or as its manifest does; "" where it is not known.
func (f files) of(ref manifest.Ref) string {
	path, found := f.at(ref)
	if !found && ref.Namespace == f.namespace {
		ref.Namespace = ""
		path, _ = f.at(ref)
	}
	return path
}

func (f files) at(ref manifest.Ref) (path string, found bool) {
	i, found := slices.BinarySearch(f.artifact.GetObjects(), ref.Key())
	if !found || i >= len(f.artifact.GetObjectFiles()) {
		return "", found
	}
	place := int(f.artifact.ObjectFiles[i])
	if place == 0 || place > len(f.artifact.Files) {
		return "", true
	}
	return f.artifact.Files[place-1], true
}

// name is a report with the file of each object in it, which its spoke does not know. The report itself belongs to the store and stays as it is.
func (f files) name(r *yardarmv1.Report) *yardarmv1.Report {
	if len(f.artifact.GetFiles()) == 0 || len(r.GetProblems())+len(r.GetDrift()) == 0 {
		return r
	}
	named := func(object string) string {
		ref, err := manifest.ParseRef(object)
		if err != nil {
			return "" // what a spoke says need not be the name of an object
		}
		return f.of(ref)
	}
	out := proto.CloneOf(r)
	for _, p := range out.Problems {
		p.File = named(p.Object)
	}
	for _, d := range out.Drift {
		d.File = named(d.Object)
	}
	return out
}
