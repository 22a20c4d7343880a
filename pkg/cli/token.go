package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and revoke tokens, for pipelines and programs",
		Long: `Make and revoke tokens, which pipelines and programs call the hub with. What a token may do is said by
rolebindings; 'yardarm get tokens' shows which there are, and when each was last used.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenCreateCommand(), a.tokenRevokeCommand())
	return cmd
}

// tokenFlags say what a new token is for.
type tokenFlags struct {
	role            string
	bundles, groups []string
	expires         string
	dryRun          bool
	output          string
}

func (a *app) tokenCreateCommand() *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token, and print it this once",
		Long: `Make a token, and print it this once: the hub keeps no more than what it needs to know it again.

With --role a rolebinding of the same name is made, which gives the token that role, for these bundles and
clustergroups only if any are named. Nobody can give a token more than they may do themselves.`,
		Example: `  # A pipeline that publishes one bundle, to one group
  yardarm token create web-ci --role publisher --bundle web --group prod --expires 90d

  # Straight to where it is needed
  yardarm token create web-ci --role publisher | \
    yardarm config set-context ci --config ci.yaml --server hub.example.com:7443 --ca ca.pem --token-file -`,
		Args:              arguments(1, 1, "the name of the new token"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createToken(cmd.Context(), strings.TrimPrefix(args[0], resource.Token.Name+"/"), f)
		},
	}
	cmd.Flags().StringVar(&f.role, "role", "", "role that the token has; without it, rolebindings say what it may do")
	cmd.Flags().StringSliceVar(&f.bundles, "bundle", nil, "bundle that the role is for, which need not exist yet; may be repeated (default all)")
	cmd.Flags().StringSliceVar(&f.groups, "group", nil, "clustergroup that the role is for; may be repeated (default all)")
	cmd.Flags().StringVar(&f.expires, "expires", "90d", "how long the token is good, as in 90d or 12h; at most 366d")
	dryRunFlag(cmd, &f.dryRun)
	formatFlag(cmd, &f.output, formatTable, formatJSON, formatYAML)
	complete(cmd, "role", a.completeNames(resource.Role))
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	complete(cmd, "group", a.completeNames(resource.Group))
	return cmd
}

func (a *app) createToken(ctx context.Context, name string, f tokenFlags) error {
	if err := selector.ValidateName(name); err != nil {
		return usage("%s", err)
	}
	ttl, err := parseLife(f.expires)
	if err != nil {
		return usage("--expires is %q; %s", f.expires, err)
	}
	if f.role == "" && len(f.bundles)+len(f.groups) > 0 {
		return usage("--bundle and --group go with --role")
	}
	hub, err := a.connect()
	if err != nil {
		return err
	}
	resp, err := hub.CreateToken(ctx, &hubv1.CreateTokenRequest{Name: name, Role: f.role, Ttl: durationpb.New(ttl), DryRun: f.dryRun,
		Bundles: named(f.bundles, resource.Bundle), ClusterGroups: named(f.groups, resource.Group)})
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.drafted(f.output, resp.GetToken())
	}
	if f.output != formatTable {
		return a.printValue(f.output, map[string]any{
			"name": name, "token": resp.GetSecret(), "expires": resp.GetToken().GetStatus().GetExpires().AsTime().Format(time.RFC3339),
		})
	}
	a.say("This is the token %s. It is a secret, good until %s, and is not shown again.\n", name, a.at(resp.GetToken().GetStatus().GetExpires()))
	a.print("%s", resp.GetSecret())
	if len(resp.GetToken().GetStatus().GetRoles()) == 0 {
		a.say("\nNo rolebinding names it yet, so it may do nothing.")
	}
	return nil
}

// drafted tells of a token that a dry run has not made, and so has no secret.
func (a *app) drafted(output string, t *yardarmv1.Token) error {
	if output != formatTable {
		return a.printMessage(output, t)
	}
	a.print("token/%s created%s", t.GetMetadata().GetName(), dryNote(true))
	return nil
}

// named is a scope of names, which may be given as TYPE/NAME; nil for everything.
func named(names []string, t resource.Type) *yardarmv1.Scope {
	if len(names) == 0 {
		return nil
	}
	s := &yardarmv1.Scope{}
	for _, name := range names {
		s.Names = append(s.Names, strings.TrimPrefix(name, t.Name+"/"))
	}
	return s
}

// parseLife reads a duration of more than nothing, in which days may be counted.
func parseLife(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return 0, failed("it is a number of days, as in 90d, or a duration, as in 12h")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, failed("it is a number of days, as in 90d, or a duration, as in 12h")
	}
	return d, nil
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "revoke NAME…",
		Short: "End tokens at once, with what is open with them",
		Long: `End tokens at once, with what is open with them. They are taken out of all rolebindings, so that a token that
is made under the name later inherits nothing.`,
		Example:           "  yardarm token revoke web-ci",
		Args:              arguments(1, -1, "the name of a token"),
		ValidArgsFunction: a.completeNames(resource.Token),
		RunE: func(cmd *cobra.Command, args []string) error {
			hub, err := a.connect()
			if err != nil {
				return err
			}
			for _, name := range args {
				name = strings.TrimPrefix(name, resource.Token.Name+"/")
				if _, err := hub.RevokeToken(cmd.Context(), &hubv1.RevokeTokenRequest{Name: name, DryRun: dryRun}); err != nil {
					return meant(cmd.Context(), hub, resource.Token, name, err)
				}
				a.print("token/%s revoked%s", name, dryNote(dryRun))
			}
			return nil
		},
	}
	dryRunFlag(cmd, &dryRun)
	return cmd
}
