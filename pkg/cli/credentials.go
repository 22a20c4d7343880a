package cli

import (
	"bytes"
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (a *app) credentialsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Keep what the hub shows to the servers of sources: passwords, tokens, keys",
		Long: `Keep what the hub shows to the servers of sources: passwords, tokens and keys. The hub keeps them encrypted,
and never answers them. A bundle's source names them, and their URLs bound where they may go.

'yardarm get sourcecredentials' lists them, 'yardarm delete' ends those that no bundle names.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.credentialsSetCommand())
	return cmd
}

// credentialsFlags say what credentials are to be. Of secrets there are only the files.
type credentialsFlags struct {
	urls                                     []string
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
Sources that name them are asked again at once.`,
		Example: `  # HTTPS: a name and an access token, which most servers take for a password
  yardarm credentials set team --url https://git.example.com/team/ --username ci --password-file token.txt

  # Another one, when that has expired
  pass show git | yardarm credentials set team --password-file -

  # SSH, with the keys that the server may have
  ssh-keyscan git.example.com > known_hosts   # compare them with what the server's owner says
  yardarm credentials set team-ssh --url git@git.example.com:team/ --key-file id_ed25519 \
    --known-hosts-file known_hosts

  # A public repository, whose server sends webhooks to https://HUB/webhooks/source/site
  openssl rand -hex 32 > webhook-secret
  yardarm credentials set site --url https://git.example.com/site/ --webhook-secret-file webhook-secret`,
		Args:              arguments(1, 1, "the name of the credentials"),
		ValidArgsFunction: a.completeNames(resource.Credentials),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setCredentials(cmd.Context(), strings.TrimPrefix(args[0], resource.Credentials.Name+"/"), f)
		},
	}
	cmd.Flags().StringArrayVar(&f.urls, "url", nil, "URL that they may be shown to, with all below it; may be repeated, and takes the place of all that there are")
	cmd.Flags().StringVar(&f.username, "username", "", "name that goes with the password")
	cmd.Flags().StringVar(&f.password, "password-file", "", "file with a password or an access token, for HTTPS")
	cmd.Flags().StringVar(&f.token, "bearer-token-file", "", "file with a bearer token, for HTTPS, instead of name and password")
	cmd.Flags().StringVar(&f.ca, "ca-file", "", "file with the CAs, in PEM, that servers are known by instead of the system's")
	cmd.Flags().StringVar(&f.key, "key-file", "", "file with a private key without a passphrase, for SSH")
	cmd.Flags().StringVar(&f.hosts, "known-hosts-file", "", "file with the keys that servers of SSH may have, as OpenSSH's known_hosts")
	cmd.Flags().StringVar(&f.webhook, "webhook-secret-file", "", "file with what webhooks are signed with, at least 16 characters")
	dryRunFlag(cmd, &f.dryRun)
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
		a.print("%s %s%s", typeName(objectIn(result.GetResource())), result.GetOutcome(), dryNote(f.dryRun))
	}
	return nil
}

// fillCredentials puts in what was given.
func (a *app) fillCredentials(spec *yardarmv1.SourceCredentialsSpec, f credentialsFlags) error {
	if len(f.urls) > 0 {
		spec.Urls = f.urls
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

var credentialsColumns = []column{
	nameColumn,
	col("HOLDS", func(_ *app, c *yardarmv1.SourceCredentials) string { return credentialsHold(c) }),
	col("URLS", func(_ *app, c *yardarmv1.SourceCredentials) string { return strings.Join(c.GetSpec().GetUrls(), ",") }),
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
	d.field("Bundles", cmp.Or(strings.Join(c.GetStatus().GetBundles(), ", "), "none"))
	d.field("Written by", c.GetStatus().GetActor())
}
