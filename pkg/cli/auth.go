package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) authCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "auth",
		Short: "Ask the hub who you are, and what you may do",
		Long:  "Ask the hub who you are, and what you may do.",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.whoamiCommand(), a.canICommand())
	return cmd
}

func (a *app) whoamiCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "whoami",
		Short:   "Show who you are to the hub, and which roles you have for what",
		Example: "  yardarm auth whoami",
		Args:    arguments(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.whoami(cmd.Context(), output) },
	}
	formatFlag(cmd, &output, formatTable, formatJSON, formatYAML)
	return cmd
}

func (a *app) whoami(ctx context.Context, output string) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	resp, err := hub.WhoAmI(ctx, &hubv1.WhoAmIRequest{})
	if err != nil {
		return err
	}
	if output != formatTable {
		value, err := resource.Value(resp)
		if err != nil {
			return err
		}
		return a.printValue(output, value)
	}
	d := &sheet{app: a}
	d.field("You are", resp.GetActor())
	d.field("Groups", strings.Join(resp.GetGroups(), ", "))
	d.field("Until", a.at(resp.GetExpires()))
	if resp.GetSubject().GetKind() == "" {
		d.field("You may do", "everything")
	}
	a.print("%s", strings.TrimSuffix(d.b.String(), "\n"))
	if len(resp.GetRoleBindings()) == 0 {
		if resp.GetSubject().GetKind() != "" {
			a.say("no rolebinding names you, so you may do nothing")
		}
		return nil
	}
	a.print("")
	t := a.newTable("ROLE", "BUNDLES", "GROUPS", "BY")
	for _, b := range resp.GetRoleBindings() {
		t.Add(table.Text(b.GetSpec().GetRole()), table.Text(scope(b.GetSpec().GetBundles())), table.Text(scope(b.GetSpec().GetClusterGroups())),
			table.Text(typeName(b)))
	}
	return a.write(t)
}

func (a *app) canICommand() *cobra.Command {
	var req hubv1.CanIRequest
	cmd := &cobra.Command{
		Use:   "can-i VERB RESOURCE",
		Short: "Ask whether you may do something; the exit code is 0 for yes and 1 for no",
		Long: `Ask whether you may do something, by the judgement that the call itself would meet. The exit code is 0 for yes
and 1 for no. Verbs and resources are those of roles, which 'yardarm get roles -o wide' shows.`,
		Example: `  yardarm auth can-i publish bundles --bundle web --group prod
  yardarm auth can-i ban clusters --cluster eu-1`,
		Args:              arguments(2, 2, "a verb and a resource, as in publish bundles"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Verb, req.Resource = args[0], args[1]
			if t, err := resource.ParseType(args[1]); err == nil {
				req.Resource = t.Plural
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			resp, err := hub.CanI(cmd.Context(), &req)
			if err != nil {
				return err
			}
			if !resp.GetAllowed() {
				a.print("no")
				return failed("%s", cmp.Or(resp.GetReason(), "it is not allowed"))
			}
			a.print("yes")
			if resp.GetReason() != "" {
				a.say("%s", resp.GetReason())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Bundle, "bundle", "", "about this bundle")
	cmd.Flags().StringVar(&req.Cluster, "cluster", "", "about this cluster")
	cmd.Flags().StringVar(&req.ClusterGroup, "group", "", "about this clustergroup; with --bundle, about the bundle there")
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "cluster", a.completeNames(resource.Cluster))
	complete(cmd, "group", a.completeNames(resource.Group))
	return cmd
}
