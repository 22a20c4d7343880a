package cli

import (
	"bytes"
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) credentialsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Keep what the hub shows to the servers of sources: passwords, tokens, keys",
		Long: `Keep what the hub shows to the servers of sources: passwords, tokens and keys. The hub keeps them encrypted,
and never answers them. A bundle's source names them if they are for that bundle, and their URLs bound where
they may go.

'yardarm get sourcecredentials' lists them, 'yardarm delete' ends those that no bundle names.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.credentialsSetCommand())
	return cmd
}

// credentialsFlags say what credentials are to be. Of secrets there are only the files.
type credentialsFlags struct {
	urls, bundles                            []string
	bundleSelector                           string
	allBundles                               bool
	username                                 string
	password, token, ca, key, hosts, webhook string
	dryRun                                   bool
}

func (a *app) credentialsSetCommand() *cobra.Command {
	var f credentialsFlags
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make source credentials, or change some of what they hold",
		Long: `Make source credentials, or change some of what they hold: what is not given stays as it is. Secrets are read
from files, or from standard input (-), and never from the command line, which others can see.

They are shown to what --url names, and to all below it. Whoever adds a URL has to give the secrets again.
They are for the bundles of --bundle, --bundle-selector or --all-bundles, and for none where none is given: who
may apply another bundle cannot read by them what they open. Sources that name them are asked again at once.`,
		Example: `  # HTTPS: a name and an access token, which most servers take for a password
  yardarm credentials set team --bundle web --bundle api --url https://git.example.com/team/ --username ci \
    --password-file token.txt

  # Another one, when that has expired
  pass show git | yardarm credentials set team --password-file -

  # SSH, with the keys that the server may have
  ssh-keyscan git.example.com > known_hosts   # compare them with what the server's owner says
  yardarm credentials set team-ssh --bundle web --url git@git.example.com:team/ --key-file id_ed25519 \
    --known-hosts-file known_hosts

  # A public repository, whose server sends webhooks to https://HUB/webhooks/source/site
  openssl rand -hex 32 > webhook-secret
  yardarm credentials set site --all-bundles --url https://git.example.com/site/ \
    --webhook-secret-file webhook-secret`,
		Args:              arguments(1, 1, "the name of the credentials"),
		ValidArgsFunction: a.completeNames(resource.Credentials),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setCredentials(cmd.Context(), strings.TrimPrefix(args[0], resource.Credentials.Name+"/"), f)
		},
	}
	cmd.Flags().StringArrayVar(&f.urls, "url", nil, "URL that they may be shown to, with all below it; may be repeated, and takes the place of all that there are")
	cmd.Flags().StringSliceVar(&f.bundles, "bundle", nil, "bundle that they are for, which need not exist yet; may be repeated, and takes the place of all that there are")
	cmd.Flags().StringVar(&f.bundleSelector, "bundle-selector", "", "labels of bundles that they are for, as in team=web; whoever applies a bundle writes its labels")
	cmd.Flags().BoolVar(&f.allBundles, "all-bundles", false, "they are for all bundles")
	cmd.MarkFlagsMutuallyExclusive("all-bundles", "bundle")
	cmd.MarkFlagsMutuallyExclusive("all-bundles", "bundle-selector")
	cmd.Flags().StringVar(&f.username, "username", "", "name that goes with the password")
	cmd.Flags().StringVar(&f.password, "password-file", "", "file with a password or an access token, for HTTPS")
	cmd.Flags().StringVar(&f.token, "bearer-token-file", "", "file with a bearer token, for HTTPS, instead of name and password")
	cmd.Flags().StringVar(&f.ca, "ca-file", "", "file with the CAs, in PEM, that servers are known by instead of the system's")
	cmd.Flags().StringVar(&f.key, "key-file", "", "file with a private key without a passphrase, for SSH")
	cmd.Flags().StringVar(&f.hosts, "known-hosts-file", "", "file with the keys that servers of SSH may have, as OpenSSH's known_hosts")
	cmd.Flags().StringVar(&f.webhook, "webhook-secret-file", "", "file with what webhooks are signed with, at least 16 characters")
	dryRunFlag(cmd, &f.dryRun)
	complete(cmd, "bundle", a.completeNames(resource.Bundle))
	return cmd
}

func (a *app) setCredentials(ctx context.Context, name string, f credentialsFlags) error {
	hub, err := a.connect()
	if err != nil {
		return err
	}
	next, err := hub.GetSourceCredentials(ctx, &hubv1.GetSourceCredentialsRequest{Name: name})
	if isCode(err, codes.NotFound) {
		next, err = &yardarmv1.SourceCredentials{Metadata: &yardarmv1.ObjectMeta{Name: name}}, nil
	}
	if err != nil {
		return err
	}
	if next.Spec == nil {
		next.Spec = &yardarmv1.SourceCredentialsSpec{}
	}
	if err := a.fillCredentials(next.Spec, f); err != nil {
		return err
	}
	resp, err := hub.Apply(ctx, &hubv1.ApplyRequest{DryRun: f.dryRun, Resources: []*hubv1.Resource{
		{Resource: &hubv1.Resource_SourceCredentials{SourceCredentials: next}}}})
	if err != nil {
		return err
	}
	for _, result := range resp.GetResults() {
		for _, warning := range result.GetWarnings() {
			a.warn("%s", warning)
		}
		a.print("%s %s%s", typeName(objectIn(result.GetResource())), result.GetOutcome(), dryNote(f.dryRun))
	}
	return nil
}

// fillCredentials puts in what was given.
func (a *app) fillCredentials(spec *yardarmv1.SourceCredentialsSpec, f credentialsFlags) error {
	if len(f.urls) > 0 {
		spec.Urls = f.urls
	}
	given, err := f.scope()
	if err != nil {
		return err
	}
	if given != nil {
		spec.Bundles = given
	}
	spec.Username = cmp.Or(f.username, spec.Username)
	if f.token != "" {
		spec.Username = f.username
	}
	stdin := ""
	for _, file := range []struct {
		flag, path string
		field      *string
		line       bool
	}{
		{"password-file", f.password, &spec.Password, true}, {"bearer-token-file", f.token, &spec.BearerToken, true}, {"webhook-secret-file", f.webhook, &spec.WebhookSecret, true},
		{"key-file", f.key, &spec.PrivateKey, false}, {"ca-file", f.ca, &spec.Ca, false}, {"known-hosts-file", f.hosts, &spec.KnownHosts, false},
	} {
		if file.path == "" {
			continue
		}
		if file.path == "-" {
			if stdin != "" {
				return usage("--%s and --%s both read standard input; give one of them a file", stdin, file.flag)
			}
			stdin = file.flag
		}
		data, err := a.readFile(file.path, maxSecret)
		if err != nil {
			return err
		}
		if file.line {
			data = bytes.TrimRight(data, "\r\n") // which editors and pipes add
		}
		if len(data) == 0 {
			return usage("there is nothing in what --%s names", file.flag)
		}
		*file.field = string(data)
	}
	return nil
}

// scope is for which bundles they are to be; nil where that is not said.
func (f credentialsFlags) scope() (*yardarmv1.Scope, error) {
	if f.allBundles {
		return &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{}}, nil
	}
	s := named(f.bundles, resource.Bundle)
	if f.bundleSelector == "" {
		return s, nil
	}
	labels, err := selector.Parse(f.bundleSelector)
	if err != nil {
		return nil, usage("--bundle-selector: %s", err)
	}
	if s == nil {
		s = &yardarmv1.Scope{}
	}
	s.Selector = &yardarmv1.LabelSelector{}
	for _, r := range labels.Requirements() {
		s.Selector.MatchExpressions = append(s.Selector.MatchExpressions, &yardarmv1.LabelRequirement{Key: r.Key, Operator: string(r.Operator), Values: r.Values})
	}
	return s, nil
}

// credentialsFor are the bundles that may name them.
func credentialsFor(c *yardarmv1.SourceCredentials) string {
	if c.GetSpec().GetBundles() == nil {
		return "none"
	}
	return scope(c.GetSpec().GetBundles())
}

var credentialsColumns = []column{
	nameColumn,
	col("HOLDS", func(_ *app, c *yardarmv1.SourceCredentials) string { return credentialsHold(c) }),
	col("URLS", func(_ *app, c *yardarmv1.SourceCredentials) string { return strings.Join(c.GetSpec().GetUrls(), ",") }),
	col("FOR", func(_ *app, c *yardarmv1.SourceCredentials) string { return credentialsFor(c) }),
	col("BUNDLES", func(_ *app, c *yardarmv1.SourceCredentials) string {
		return cmp.Or(strings.Join(c.GetStatus().GetBundles(), ","), "none")
	}),
	col("BY", func(_ *app, c *yardarmv1.SourceCredentials) string { return c.GetStatus().GetActor() }),
	ageColumn,
}

// credentialsHold is as in "password,webhookSecret,ca".
func credentialsHold(c *yardarmv1.SourceCredentials) string {
	holds := c.GetStatus().GetHolds()
	if c.GetSpec().GetCa() != "" {
		holds = append(holds[:len(holds):len(holds)], "ca")
	}
	return strings.Join(holds, ",")
}

func (d *sheet) credentials(c *yardarmv1.SourceCredentials) {
	d.metadata(c.GetMetadata())
	d.field("Shown to", strings.Join(c.GetSpec().GetUrls(), ", "))
	d.field("Username", c.GetSpec().GetUsername())
	d.field("Holds", credentialsHold(c)+" (secrets are never shown)")
	d.field("For bundles", credentialsFor(c))
	d.field("Named by", cmp.Or(strings.Join(c.GetStatus().GetBundles(), ", "), "none"))
	d.field("Written by", c.GetStatus().GetActor())
}
