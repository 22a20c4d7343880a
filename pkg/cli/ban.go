package cli

import (
	"github.com/spf13/cobra"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func (a *app) banCommand() *cobra.Command {
	req := &hubv1.BanClusterRequest{}
	cmd := &cobra.Command{
		Use:   "ban NAME | cluster/NAME",
		Short: "Refuse a cluster's spoke from now on, and cut its stream",
		Long: `Refuse a cluster's certificates from now on, and cut its stream at once. What runs in the cluster goes on
running; nothing is removed. 'yardarm unban' takes it back.`,
		Example:           `  yardarm ban eu-1 --reason "laptop with its key was stolen"`,
		Args:              arguments(1, 2, "a cluster, as in eu-1 or cluster/eu-1"),
		ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if req.Name, err = oneCluster(args); err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			cluster, err := hub.BanCluster(cmd.Context(), req)
			if err != nil {
				return err
			}
			a.print("%s banned%s", typeName(cluster), dryNote(req.DryRun))
			return nil
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why, for those who come later")
	dryRunFlag(cmd, &req.DryRun)
	return cmd
}

func (a *app) unbanCommand() *cobra.Command {
	req := &hubv1.UnbanClusterRequest{}
	cmd := &cobra.Command{
		Use:               "unban NAME | cluster/NAME",
		Short:             "Accept a banned cluster's spoke again",
		Long:              "Accept a banned cluster's spoke again. It comes back by itself, with the certificate that it has.",
		Example:           `  yardarm unban eu-1`,
		Args:              arguments(1, 2, "a cluster, as in eu-1 or cluster/eu-1"),
		ValidArgsFunction: a.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if req.Name, err = oneCluster(args); err != nil {
				return err
			}
			hub, err := a.connect()
			if err != nil {
				return err
			}
			cluster, err := hub.UnbanCluster(cmd.Context(), req)
			if err != nil {
				return err
			}
			a.print("%s unbanned%s", typeName(cluster), dryNote(req.DryRun))
			return nil
		},
	}
	dryRunFlag(cmd, &req.DryRun)
	return cmd
}
