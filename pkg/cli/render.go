package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) renderCommand() *cobra.Command {
	var f renderFlags
	var as asFlags
	var output string
	var digest bool
	cmd := &cobra.Command{
		Use:   "render DIR|CHART",
		Short: "Show the objects that the hub would make of a directory or a chart",
		Long: `Show the objects that the hub would make of a directory or a chart, in the order in which they are applied. A
directory with a kustomization.yaml is built, one with a Chart.yaml (or a chart's .tgz) is rendered as a
chart, and of any other the manifests are taken as they are. No hub and no cluster is asked for anything.

The same files come out the same everywhere and always: --digest prints the digest that the revision would
have. So functions of charts that answer something else each time (now, randAlphaNum, genCA, …) are refused
by name, lookup finds nothing, and nothing is fetched: dependencies of charts belong into charts/, and bases
of kustomizations into the repository. Hooks of Helm and Argo CD are refused, or left out with --hooks skip.

--as renders what the hub renders for a bundle with a source: as its manifest says, of its variants the one
that --variant names. DIR is then what the source's path leads to.

Exit codes: 0 shown; 2 error, with file and line.`,
		Example: `  yardarm render ./overlays/prod
  yardarm render ./charts/web -f values/prod.yaml --kube-version 1.33.2
  yardarm render ./charts/web --digest
  yardarm render ./charts/web --as bundle.yaml --variant small
  diff <(yardarm render ./overlays/prod) <(yardarm render ./overlays/staging)`,
		Args: arguments(1, 1, "the directory or chart to render"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch given := as.file != ""; {
			case !given && as.variant != "":
				return usage("--variant is one of a bundle's: name its manifest with --as FILE")
			case given && (f.charts() || f.plain || cmd.Flags().Changed("hooks")):
				return usage("--as says how it is rendered; of the other flags for that, only --root goes with it")
			case given:
				in, err := as.input(a)
				if err != nil {
					return err
				}
				f.as = &in
			}
			return a.render(cmd.Context(), args[0], &f, output, digest)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&as.file, "as", "", "file with the bundle that says how its source is rendered")
	cmd.Flags().StringVar(&as.variant, "variant", "", "variant of that bundle's source")
	cmd.Flags().BoolVar(&digest, "digest", false, "print the digest alone")
	formatFlag(cmd, &output, formatYAML, formatJSON, formatName)
	return cmd
}

func (a *app) render(ctx context.Context, dir string, f *renderFlags, format string, digest bool) error {
	out, set, err := a.rendered(ctx, dir, "", f)
	switch {
	case err != nil:
		return err
	case digest:
		a.print("%s", set.Digest())
		return nil
	}
	a.say("# %s, rendered as %s", plural(set.Len(), "object"), out.Type)
	a.say("# digest %s", set.Digest())
	return a.printManifests(format, set)
}
