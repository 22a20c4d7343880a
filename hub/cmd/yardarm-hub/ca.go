package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func caCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ca",
		Short: "Show the CA of a running hub, and replace it",
		Long: `The hub's CA issues the certificates of the hub and of all clusters. It lives for ten years, and is replaced, before that or
when its key may be known, in two steps, with the fleet connected:

  rotate   makes a new CA beside the old one. Spokes are told to trust both, and get certificates of the new one. The hub is still known by the
           old one. People's configurations have to learn the new one now: those that the hub's CA is in.
  retire   ends the old one. It is refused, and the clusters are named, while any would be lost by that: because it was away
           meanwhile, or waits to enrol.`,
		Example: `  yardarm-hub ca rotate --data-dir /var/lib/yardarm
  yardarm-hub ca show --data-dir /var/lib/yardarm      # who lacks the new one
  yardarm-hub ca retire --data-dir /var/lib/yardarm`,
	}
	type call = func(*client.Client, context.Context) (*hubv1.Authority, error)
	add := func(use, short string, call call) *cobra.Command {
		var dir, server string
		var pem bool
		sub := &cobra.Command{
			Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				answer, err := authority(c.Context(), dir, server, call)
				if err != nil {
					return err
				}
				if pem {
					_, err := io.WriteString(c.OutOrStdout(), bundle(answer))
					return err
				}
				show(c.OutOrStdout(), answer)
				return nil
			},
		}
		dataDir(sub.Flags(), &dir)
		serverFlag(sub.Flags(), &server)
		sub.Flags().BoolVar(&pem, "pem", false, "print the certificates, for people's configurations")
		c.AddCommand(sub)
		return sub
	}
	add("show", "Show the CA, and while it is rotated who lacks the new one", func(hub *client.Client, ctx context.Context) (*hubv1.Authority, error) {
		return hub.GetAuthority(ctx, &hubv1.GetAuthorityRequest{})
	})
	var rotation hubv1.RotateAuthorityRequest
	dryRunFlag(add("rotate", "Make a new CA beside the old one", func(hub *client.Client, ctx context.Context) (*hubv1.Authority, error) {
		return hub.RotateAuthority(ctx, &rotation)
	}), &rotation.DryRun)
	var retirement hubv1.RetireAuthorityRequest
	dryRunFlag(add("retire", "End the old one", func(hub *client.Client, ctx context.Context) (*hubv1.Authority, error) {
		return hub.RetireAuthority(ctx, &retirement)
	}), &retirement.DryRun)
	return c
}

func dryRunFlag(c *cobra.Command, dryRun *bool) {
	c.Flags().BoolVar(dryRun, "dry-run", false, "have the hub check whether it can be done, show the CA as it is, and change nothing")
}

// authority calls the hub, and has the local administrator's file trust what the hub is known by from then on.
func authority(ctx context.Context, dir, server string, call func(*client.Client, context.Context) (*hubv1.Authority, error)) (*hubv1.Authority, error) {
	config, where, err := localAdmin(dir, server)
	if err != nil {
		return nil, err
	}
	conn, err := connect(*where)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, err := call(conn, ctx)
	if err != nil {
		return nil, errors.New(client.Said(err))
	}
	admin, err := config.Context("")
	if err != nil || !knows(admin.CA, answer) || admin.CA == bundle(answer) {
		return answer, err // of a hub whose API has a certificate that somebody else has issued
	}
	admin.CA = bundle(answer)
	if err := config.Save(filepath.Join(dir, hub.AdminFile)); err != nil {
		return nil, fmt.Errorf("write the CA into the local administrator's file: %w", err)
	}
	return answer, nil
}

// knows tells whether a configuration knows the hub by its own CA.
func knows(ca string, answer *hubv1.Authority) bool {
	for _, r := range answer.GetRoots() {
		if strings.Contains(ca, r.GetCertificate()) {
			return true
		}
	}
	return false
}

// bundle is what is trusted, in PEM.
func bundle(answer *hubv1.Authority) string {
	var b strings.Builder
	for _, r := range answer.GetRoots() {
		b.WriteString(r.GetCertificate())
	}
	return b.String()
}

func show(out io.Writer, answer *hubv1.Authority) {
	roots := answer.GetRoots()
	for i, r := range roots {
		about := ""
		switch {
		case len(roots) > 1 && i == 0:
			about = "   new: issues clusters' certificates"
		case len(roots) > 1:
			about = "   old: the hub is known by it until it is retired"
		}
		fmt.Fprintf(out, "%s, until %s%s\n", r.GetPin(), r.GetExpires().AsTime().UTC().Format(time.DateOnly), about)
	}
	if len(roots) < 2 {
		return
	}
	if answer.GetLackingTotal() == 0 {
		fmt.Fprintln(out, "every cluster has what it needs of the new one: the old one can be retired")
		return
	}
	fmt.Fprintf(out, "%d clusters need the old one still:\n", answer.GetLackingTotal())
	for _, l := range answer.GetLacking() {
		fmt.Fprintf(out, "  %s: %s\n", l.GetCluster(), l.GetWhy())
	}
	if more := int(answer.GetLackingTotal()) - len(answer.GetLacking()); more > 0 {
		fmt.Fprintf(out, "  and %d more\n", more)
	}
}
