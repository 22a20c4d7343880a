package cli

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
)

// Groups of commands in help.
const (
	groupDeliver  = "deliver"
	groupLook     = "look"
	groupClusters = "clusters"
	groupSettings = "settings"
)

// subcommand refuses words that name no command, and suggests the one that was probably meant.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := ""
	if meant := resource.Closest(args[0], slices.Values(names)); meant != "" {
		hint = fmt.Sprintf("; did you mean '%s %s'?", cmd.CommandPath(), meant)
	}
	return usage("there is no command %q in '%s'%s", args[0], cmd.CommandPath(), hint)
}

// flagHint suggests the flag that was probably meant by one that there is not.
func flagHint(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if meant := resource.Closest(unknown.GetSpecifiedName(), slices.Values(names)); meant != "" {
		return "; did you mean --" + meant + "?"
	}
	return ""
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "yardarm",
		Short: "Deliver to a fleet of Kubernetes clusters, and see what became of it",
		Long: `Deliver to a fleet of Kubernetes clusters, and see what became of it.

A hub holds what groups of clusters are to run; a spoke in each cluster pulls it, applies it and
reports what it observes. This command talks to the hub only.

  cluster         a Kubernetes cluster with a spoke, with labels
  clustergroup    a named selector over clusters
  bundle          a named set of manifests, for some groups; each version of it is a revision
  assignment      what one cluster is to run of one bundle, and how far it is with it

Exit codes: 0 yes, 1 no (there is none, it is refused, or it failed), 2 error (usage, input,
connection, hub), 3 rolled back, 4 awaits an approval, 5 superseded, 124 out of time, 130 interrupted:
'yardarm wait --help' has the table.`,
		Example: `  # See the fleet, and what is not well in it
  yardarm status

  # Add a cluster
  yardarm enroll eu-1 -l env=prod,region=eu

  # Deliver a directory of manifests to a group, and wait until it is everywhere
  yardarm publish ./web --bundle web --to prod --wait

  # Take it back
  yardarm rollout undo bundle/web`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.io.In)
	root.SetOut(a.io.Out)
	root.SetErr(a.io.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage("%s%s", err, flagHint(cmd, err)) })
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "", "file of contexts (default $YARDARM_CONFIG, or yardarm/config.yaml in the user's configuration folder)")
	flags.StringVar(&a.contextName, "context", "", "context to use (default $YARDARM_CONTEXT, or the current one)")
	flags.StringVar(&a.server, "server", "", "address of the hub, instead of the context's, as HOST:PORT")
	flags.StringVar(&a.ca, "ca", "", "file with the certificates, in PEM, to know the hub by, instead of the context's (default $YARDARM_CA)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the credential, or - for standard input, instead of the context's (default the text in $YARDARM_TOKEN)")
	flags.DurationVar(&a.requestTimeout, "request-timeout", 30*time.Second, "how long one call to the hub may take")
	flags.StringVar(&a.color, "color", "auto", "colours: auto, always or never")
	complete(root, "context", a.completeContexts)
	complete(root, "color", words("auto", "always", "never"))
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		switch a.color {
		case "auto", "always", "never":
		default:
			return usage("--color is %q; it is auto, always or never", a.color)
		}
		if a.requestTimeout <= 0 {
			return usage("--request-timeout is %s; it must be more than 0", a.requestTimeout)
		}
		return nil
	}
	root.AddGroup(
		&cobra.Group{ID: groupDeliver, Title: "Deliver:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupClusters, Title: "Clusters:"},
		&cobra.Group{ID: groupSettings, Title: "Settings:"},
	)
	root.SetHelpCommandGroupID(groupSettings)
	root.SetCompletionCommandGroupID(groupSettings)
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add(groupDeliver, a.publishCommand(), a.diffCommand(), a.renderCommand(), a.applyCommand(), a.rolloutCommand(), a.waitCommand(), a.freezeCommand(),
		a.unfreezeCommand(), a.deleteCommand(), a.acceptCommand(), a.reconcileCommand())
	add(groupLook, a.statusCommand(), a.problemsCommand(), a.driftCommand(), a.whyCommand(), a.getCommand(), a.describeCommand(), a.previewCommand(), a.eventsCommand(), a.pastCommand(), a.auditCommand(),
		a.dashboardCommand())
	add(groupClusters, a.enrollCommand(), a.labelCommand(), a.banCommand(), a.unbanCommand())
	add(groupSettings, a.loginCommand(), a.logoutCommand(), a.configCommand(), a.tokenCommand(), a.authCommand(), a.credentialsCommand(), a.notificationCommand(),
		a.supportBundleCommand(), a.versionCommand())
	return root
}
