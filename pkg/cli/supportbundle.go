package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/version"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// supportRows bounds each list of a support bundle: who reads it looks for what is wrong with some, and an archive has to fit a mail.
	supportRows = 2000
	// supportFolder is what all is in, so that unpacking it litters nothing.
	supportFolder = "yardarm-support"
)

func (a *app) supportBundleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "support-bundle FILE",
		Short: "Collect what a bug report needs, without secrets",
		Long: fmt.Sprintf(`Write an archive (tar.gz) of what a bug report needs: versions, the hub's state, clusters, groups, bundles,
revisions, what is not ready or has drifted, and events; at most %d of each.

There are no secrets, no manifests and no values of objects in it: variables and patches of customizations, and
what differs where something has drifted, are left out. Names, labels, facts and messages are in it; look before
you send it. What you may not see, or what fails, is named in errors.txt, and the rest is collected.

It does not ask the clusters. For one whose spoke does not connect, add the output of 'yardarm-spoke preflight'
and the spoke's log.`, supportRows),
		Example: `  yardarm support-bundle support.tar.gz
  tar -xOzf support.tar.gz yardarm-support/notready.jsonl | jq`,
		Args: arguments(1, 1, "the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.supportBundle(cmd.Context(), args[0]) },
	}
}

// supportBundle writes the archive; a file that is there already is left alone.
func (a *app) supportBundle(ctx context.Context, file string) (err error) {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	s := newSupportWriter(f, a.io.Now())
	var failures bytes.Buffer
	for _, part := range a.supportParts(hub) {
		var text bytes.Buffer
		if err := part.write(ctx, &text); err != nil {
			if ctx.Err() != nil {
				return err
			}
			fmt.Fprintf(&failures, "%s: %v\n", part.name, err)
			a.warn("%s is not whole: %v", part.name, err)
		}
		if err := s.add(part.name, text.Bytes()); err != nil {
			return err
		}
	}
	if err := errors.Join(s.add("errors.txt", failures.Bytes()), s.close()); err != nil {
		return err
	}
	a.say("wrote %s; look into it before you send it", file)
	return nil
}

// supportPart is one file of the archive.
type supportPart struct {
	name  string
	write func(ctx context.Context, w io.Writer) error
}

func (a *app) supportParts(hub *client.Client) []supportPart {
	return []supportPart{
		{"version.txt", func(_ context.Context, w io.Writer) error {
			_, err := fmt.Fprintf(w, "yardarm %s (%s, %s/%s), at %s\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH, a.io.Now().UTC().Format(time.RFC3339))
			return err
		}},
		supportList("hub.jsonl", func(ctx context.Context) iter.Seq2[*hubv1.Hub, error] {
			return only(hub.GetHub(ctx, &hubv1.GetHubRequest{}))
		}),
		supportList("whoami.jsonl", func(ctx context.Context) iter.Seq2[*hubv1.WhoAmIResponse, error] {
			return only(hub.WhoAmI(ctx, &hubv1.WhoAmIRequest{}))
		}),
		supportList("clusters.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Cluster, error] {
			return hub.Clusters(ctx, &hubv1.ListClustersRequest{})
		}),
		supportList("clustergroups.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.ClusterGroup, error] {
			return hub.ClusterGroups(ctx, &hubv1.ListClusterGroupsRequest{})
		}),
		supportList("bundles.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Bundle, error] {
			return hub.Bundles(ctx, &hubv1.ListBundlesRequest{})
		}),
		supportList("revisions.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Revision, error] { return allRevisions(ctx, hub) }),
		supportList("notready.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Assignment, error] {
			return hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Filter: "phase!=ready"})
		}),
		supportList("drifted.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Assignment, error] {
			return hub.Assignments(ctx, &hubv1.ListAssignmentsRequest{Filter: "drifted>0"})
		}),
		supportList("events.jsonl", func(ctx context.Context) iter.Seq2[*yardarmv1.Event, error] {
			return hub.Events(ctx, &hubv1.WatchEventsRequest{Tail: supportRows}, client.WatchOptions{})
		}),
	}
}

// supportList is a file of messages, one a line, without the values of objects.
func supportList[T proto.Message](name string, list func(ctx context.Context) iter.Seq2[T, error]) supportPart {
	return supportPart{name, func(ctx context.Context, w io.Writer) error {
		n := 0
		for m, err := range list(ctx) {
			if err != nil {
				return err
			}
			if n++; n > supportRows {
				return fmt.Errorf("there are more than %d", supportRows)
			}
			line, err := protojson.Marshal(withoutValues(m))
			if err != nil {
				return err
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	}}
}

// only is a list of the one message that a call has answered.
func only[T proto.Message](m T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { yield(m, err) }
}

// allRevisions lists those of each bundle.
func allRevisions(ctx context.Context, hub *client.Client) iter.Seq2[*yardarmv1.Revision, error] {
	return func(yield func(*yardarmv1.Revision, error) bool) {
		for bundle, err := range hub.Bundles(ctx, &hubv1.ListBundlesRequest{}) {
			if err != nil {
				yield(nil, err)
				return
			}
			for r, err := range hub.Revisions(ctx, &hubv1.ListRevisionsRequest{Bundle: bundle.GetMetadata().GetName()}) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// withoutValues is a copy of a message without what people and clusters have put into fields of objects.
func withoutValues[T proto.Message](m T) T {
	const removed = "(left out)"
	m = proto.CloneOf(m)
	_ = protorange.Range(m.ProtoReflect(), func(p protopath.Values) error { // which fails only where the function does
		message, ok := p.Index(-1).Value.Interface().(protoreflect.Message)
		if !ok {
			return nil
		}
		switch m := message.Interface().(type) {
		case *yardarmv1.Customization:
			for name := range m.Variables {
				m.Variables[name] = removed
			}
		case *yardarmv1.Patch:
			m.Patch = removed
		case *yardarmv1.Drift:
			m.Desired, m.Live = removed, removed
		}
		return nil
	})
	return m
}

// supportWriter writes the archive.
type supportWriter struct {
	gzip *gzip.Writer
	tar  *tar.Writer
	now  time.Time
}

func newSupportWriter(w io.Writer, now time.Time) *supportWriter {
	z := gzip.NewWriter(w)
	return &supportWriter{gzip: z, tar: tar.NewWriter(z), now: now}
}

func (s *supportWriter) add(name string, text []byte) error {
	header := &tar.Header{Name: path.Join(supportFolder, name), Mode: 0o600, Size: int64(len(text)), ModTime: s.now}
	if err := s.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err := s.tar.Write(text)
	return err
}

func (s *supportWriter) close() error { return errors.Join(s.tar.Close(), s.gzip.Close()) }
