package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// arguments checks the number of arguments; what names them in the error, as in "the name of a bundle".
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage("'%s' needs %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return usage("'%s' takes %s, and %q is too much", cmd.CommandPath(), what, args[most])
		}
		return nil
	}
}

// some reads TYPE NAME… or TYPE/NAME… for a command that needs names, of these types.
func some(args []string, allowed ...resource.Type) ([]resource.Selection, error) {
	selections, err := resource.ParseArgs(args)
	if err != nil {
		return nil, usage("%s", err)
	}
	var words []string
	for _, t := range allowed {
		words = append(words, t.Plural)
	}
	for _, s := range selections {
		found := false
		for _, t := range allowed {
			found = found || t.Is(s.Type)
		}
		if !found {
			return nil, usage("this is for %s; not for %s", strings.Join(words, ", "), s.Type.Plural)
		}
		if len(s.Names) == 0 {
			return nil, usage("name the %s, as in %s/NAME", s.Type.Name, s.Type.Name)
		}
	}
	return selections, nil
}

// one reads TYPE NAME or TYPE/NAME.
func one(args []string, allowed ...resource.Type) (resource.Type, string, error) {
	selections, err := some(args, allowed...)
	if err != nil {
		return resource.Type{}, "", err
	}
	if len(selections) > 1 || len(selections[0].Names) > 1 {
		return resource.Type{}, "", usage("name one only")
	}
	return selections[0].Type, selections[0].Names[0], nil
}

// oneCluster reads cluster/NAME, cluster NAME or, for commands that are for clusters only, NAME.
func oneCluster(args []string) (string, error) {
	if len(args) == 1 && bareName(args[0]) {
		return args[0], nil
	}
	_, name, err := one(args, resource.Cluster)
	return name, err
}

// clusterAndBundle reads cluster/NAME, bundle/NAME or both.
func clusterAndBundle(args []string) (cluster, bundle string, err error) {
	selections, err := some(args, resource.Cluster, resource.Bundle)
	if err != nil {
		return "", "", err
	}
	for _, s := range selections {
		if len(s.Names) > 1 {
			return "", "", usage("name one cluster, one bundle or one of each")
		}
		if s.Type.Is(resource.Cluster) {
			cluster = s.Names[0]
		} else {
			bundle = s.Names[0]
		}
	}
	return cluster, bundle, nil
}

// bareName tells a name without a type from TYPE/NAME and from a type without a name.
func bareName(arg string) bool {
	_, err := resource.ParseType(arg)
	return !strings.ContainsAny(arg, "/,") && err != nil
}

// typeOf is the type of a resource.
func typeOf(object client.Object) resource.Type {
	switch object.(type) {
	case *yardarmv1.Cluster:
		return resource.Cluster
	case *yardarmv1.ClusterGroup:
		return resource.Group
	case *yardarmv1.Bundle:
		return resource.Bundle
	case *yardarmv1.Revision:
		return resource.Revision
	case *yardarmv1.Strategy:
		return resource.Strategy
	case *yardarmv1.Gate:
		return resource.Gate
	case *yardarmv1.Role:
		return resource.Role
	case *yardarmv1.RoleBinding:
		return resource.Binding
	case *yardarmv1.Notification:
		return resource.Notification
	case *yardarmv1.SourceCredentials:
		return resource.Credentials
	case *yardarmv1.Token:
		return resource.Token
	}
	return resource.Assignment
}

// typeName is how output calls a resource: cluster/eu-1.
func typeName(object client.Object) string {
	return typeOf(object).Name + "/" + object.GetMetadata().GetName()
}

// splitRevision takes web-3 apart.
func splitRevision(name string) (bundle string, number uint32, err error) {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if n, err := strconv.ParseUint(name[i+1:], 10, 32); err == nil && n > 0 {
			return name[:i], uint32(n), nil
		}
	}
	return "", 0, usage("%q is not the name of a revision, which is BUNDLE-NUMBER, as in web-3", name)
}

// splitAssignment takes eu-1.web apart.
func splitAssignment(name string) (cluster, bundle string, err error) {
	cluster, bundle, ok := strings.Cut(name, ".")
	if !ok || cluster == "" || bundle == "" || strings.Contains(bundle, ".") {
		return "", "", usage("%q is not the name of an assignment, which is CLUSTER.BUNDLE, as in eu-1.web", name)
	}
	return cluster, bundle, nil
}

// parseLabels reads k=v,k=v, given once or several times.
func parseLabels(lists []string) (map[string]string, error) {
	out := make(map[string]string)
	for _, list := range lists {
		for _, pair := range strings.Split(list, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok || key == "" {
				return nil, usage("label %q is not KEY=VALUE", pair)
			}
			if before, twice := out[key]; twice && before != value {
				return nil, usage("label %s is given twice, as %q and %q", key, before, value)
			}
			out[key] = value
		}
	}
	if err := selector.ValidateLabels(out); err != nil {
		return nil, usage("%s", err)
	}
	return out, nil
}

// readLimited reads all of a stream that should not be larger than limit bytes.
func readLimited(name string, r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", name, size(uint64(limit)))
	}
	return data, nil
}

// plural is "1 cluster" or "3 clusters".
func plural[N int | uint32 | uint64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
