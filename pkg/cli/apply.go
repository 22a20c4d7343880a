package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// applyFlags say what to apply.
type applyFlags struct {
	files     []string
	recursive bool
	dryRun    bool
	output    string
}

func (a *app) applyCommand() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Make or change clustergroups, bundles, strategies, gates, roles, rolebindings, notifications, sourcecredentials and labels of clusters",
		Long: `Make or change clustergroups, bundles, strategies, gates, roles, rolebindings, notifications,
sourcecredentials and the labels of clusters, from YAML or JSON.

Everything given is one change: all of it is done, or nothing. Objects for the clusters do not go here
but into the directory that 'yardarm publish' takes.`,
		Example: `  yardarm apply -f groups.yaml
  yardarm apply -f fleet/ --dry-run
  yardarm get bundle/web -o yaml | sed s/staging/prod/ | yardarm apply -f -

  # groups.yaml
  apiVersion: yardarm.dev/v1
  kind: ClusterGroup
  metadata:
    name: prod
  spec:
    selector:
      matchLabels:
        env: prod
    expression: facts.nodes >= 3`,
		Args: arguments(0, 0, "no arguments; files are named with -f"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.apply(cmd.Context(), f) },
	}
	cmd.Flags().StringArrayVarP(&f.files, "filename", "f", nil, "file or directory with resources, or - for standard input; may be repeated")
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "read the directories in directories, too")
	dryRunFlag(cmd, &f.dryRun)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML, formatName)
	return cmd
}

func (a *app) apply(ctx context.Context, f applyFlags) error {
	if len(f.files) == 0 {
		return usage("name what to apply: -f FILE, -f DIR or -f -")
	}
	files, err := a.resourceFiles(f.files, f.recursive)
	if err != nil {
		return err
	}
	documents, err := resource.Decode(files)
	if err != nil {
		return err
	}
	if len(documents) == 0 {
		return usage("there are no resources in %s", strings.Join(f.files, ", "))
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	req := &hubv1.ApplyRequest{DryRun: f.dryRun}
	for _, document := range documents {
		req.Resources = append(req.Resources, document.Resource)
	}
	resp, err := hub.Apply(ctx, req)
	if err != nil {
		return a.place(err, documents)
	}
	var objects []client.Object
	for _, result := range resp.GetResults() {
		object := objectIn(result.GetResource())
		if object == nil {
			continue
		}
		for _, warning := range result.GetWarnings() {
			a.warn("%s", warning)
		}
		objects = append(objects, object)
		if f.output == formatTable {
			a.print("%s %s%s", typeName(object), result.GetOutcome(), dryNote(f.dryRun))
		}
	}
	if f.output != formatTable {
		return a.printObjects(f.output, objects, len(documents) == 1)
	}
	return nil
}

// objectIn is the resource that is set, or nil.
func objectIn(r *hubv1.Resource) client.Object {
	switch r := r.GetResource().(type) {
	case *hubv1.Resource_Cluster:
		return r.Cluster
	case *hubv1.Resource_ClusterGroup:
		return r.ClusterGroup
	case *hubv1.Resource_Bundle:
		return r.Bundle
	case *hubv1.Resource_Strategy:
		return r.Strategy
	case *hubv1.Resource_Gate:
		return r.Gate
	case *hubv1.Resource_Role:
		return r.Role
	case *hubv1.Resource_RoleBinding:
		return r.RoleBinding
	case *hubv1.Resource_Notification:
		return r.Notification
	case *hubv1.Resource_SourceCredentials:
		return r.SourceCredentials
	}
	return nil
}

// resourceFiles reads what -f names.
func (a *app) resourceFiles(paths []string, recursive bool) ([]resource.File, error) {
	var files []resource.File
	read := func(path string) error {
		data, err := a.readFile(path, resource.MaxFile)
		if err != nil {
			return err
		}
		if path == "-" {
			path = "standard input"
		}
		files = append(files, resource.File{Path: path, Data: data})
		return nil
	}
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		info, err := os.Stat(path)
		if path == "-" || err == nil && !info.IsDir() {
			err = read(path)
		} else if err == nil {
			before := len(files)
			err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case entry.IsDir() && name != path && (!recursive || strings.HasPrefix(entry.Name(), ".")):
					return fs.SkipDir
				case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
					return nil
				}
				return read(name)
			})
			if err == nil && len(files) == before {
				err = fmt.Errorf("there is no .yaml, .yml or .json file in %s", path)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// requestPath is how the hub names a field of a resource in a request: resources[1].bundle.spec.targets[0].
var requestPath = regexp.MustCompile(`^resources\[(\d+)\]\.?(?:(?:cluster|clusterGroup|cluster_group|bundle)\b\.?)?(.*)$`)

// place turns what the hub says about fields of the request into problems in files and lines. Other errors it returns as they are.
func (a *app) place(err error, documents []resource.Document) error {
	rpc, ok := statusOf(err)
	if !ok {
		return err
	}
	problems := &manifest.Problems{}
	for _, detail := range rpc.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, violation := range bad.GetFieldViolations() {
			match := requestPath.FindStringSubmatch(violation.GetField())
			if match == nil {
				return err
			}
			i, convErr := strconv.Atoi(match[1])
			if convErr != nil || i >= len(documents) {
				return err
			}
			problems.Entries = append(problems.Entries, documents[i].Locate(match[2], violation.GetDescription()))
		}
	}
	if len(problems.Entries) > 0 {
		return problems
	}
	// A refusal of another kind names its resource; say where that was written.
	for _, detail := range rpc.Details() {
		if failure, ok := detail.(*errdetails.PreconditionFailure); ok {
			for _, violation := range failure.GetViolations() {
				for _, document := range documents {
					if violation.GetSubject() == document.Type.Kind+" "+document.Name {
						return &outcome{codeOf(err), errors.New(document.Locate("", violation.GetDescription()).Error())}
					}
				}
			}
		}
	}
	return err
}
