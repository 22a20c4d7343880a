package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/login"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// loginPatience is how long a person may take to sign in.
const loginPatience = 5 * time.Minute

// loginFlags say how to sign in.
type loginFlags struct {
	provider         string
	device           bool
	noBrowser        bool
	port             int
	issuer, clientID string
	scopes           []string
	issuerCA         string
}

func (a *app) loginCommand() *cobra.Command {
	var f loginFlags
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in by an identity provider that the hub trusts",
		Long: `Sign in by an identity provider that the hub trusts: with your browser, or with --device by a code that you type
in on another device. The hub says which providers there are, unless --issuer and --client-id name one.

The sign-in is kept in the context, in a file for its owner only, and is renewed while the provider allows that.
With --server, a context that is not there yet is made, and becomes the current one.

CI jobs do not sign in: they give the ID token that their platform makes for them, in $YARDARM_TOKEN or with
--token-file.`,
		Example: `  yardarm login
  yardarm login --device

  # The first time
  yardarm login --server hub.example.com:7443 --ca hub-ca.pem --context production`,
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.login(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.provider, "provider", "", "the provider, by the name that the hub calls it, where there are several")
	flags.BoolVar(&f.device, "device", false, "sign in on another device, by a code")
	flags.BoolVar(&f.noBrowser, "no-browser", false, "show the address, and open no browser")
	flags.IntVar(&f.port, "callback-port", 0, "port of this machine that the browser comes back to, for providers that know one (default any)")
	flags.StringVar(&f.issuer, "issuer", "", "a provider by its URL, instead of one that the hub names")
	flags.StringVar(&f.clientID, "client-id", "", "with --issuer: the public client there")
	flags.StringSliceVar(&f.scopes, "scope", []string{"profile", "email", "offline_access"}, "with --issuer: what to ask for beside openid; may be repeated")
	flags.StringVar(&f.issuerCA, "issuer-ca", "", "with --issuer: file with the certificates, in PEM, to know it by")
	return cmd
}

func (a *app) login(ctx context.Context, f loginFlags) error {
	if (f.issuer == "") != (f.clientID == "") {
		return usage("--issuer and --client-id go together")
	}
	target, err := a.loginContext()
	if err != nil {
		return err
	}
	provider, err := a.provider(ctx, target, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loginPatience, fmt.Errorf("nobody has signed in within %s", table.Duration(loginPatience)))
	defer cancel()
	with, err := login.New(ctx, provider)
	if err != nil {
		return err
	}
	defer with.Close()
	var tokens login.Tokens
	if f.device {
		tokens, err = with.Device(ctx, a.showCode)
	} else {
		tokens, err = with.Browser(ctx, f.port, func(address string) error {
			a.showAddress(ctx, address, f.noBrowser)
			return nil
		})
	}
	if err != nil {
		return err
	}
	target.Token, target.ClientCertificate, target.ClientKey = "", "", ""
	target.Login = &clientconfig.Login{Issuer: provider.Issuer, ClientID: provider.ClientID, Scopes: provider.Scopes, CA: provider.CA,
		IDToken: tokens.ID, RefreshToken: tokens.Refresh}
	return a.keepLogin(ctx, *target)
}

// loginContext is the context to sign in to: an existing one, or a new one for a server that was named.
func (a *app) loginContext() (*clientconfig.Context, error) {
	file, path, err := a.editableConfig()
	if err != nil {
		return nil, err
	}
	target := &clientconfig.Context{Name: a.chosenContext()}
	found, err := file.Context(target.Name)
	switch {
	case err == nil && (a.server == "" || target.Name != "" || found.Server == withScheme(a.server)):
		*target = *found
	case a.server == "":
		return nil, failed("%w in %s; name the hub with --server HOST:PORT, and how to know it with --ca", err, path)
	case target.Name == "":
		host, _, _ := strings.Cut(strings.TrimPrefix(withScheme(a.server), "https://"), ":")
		target.Name = host
	}
	if a.server != "" {
		target.Server = withScheme(a.server)
	}
	if a.ca != "" {
		data, err := a.readFile(a.ca, maxSecret)
		if err != nil {
			return nil, err
		}
		target.CA = string(data)
	}
	return target, nil
}

// provider is the one that flags name, or the one that the hub does.
func (a *app) provider(ctx context.Context, target *clientconfig.Context, f loginFlags) (login.Provider, error) {
	if f.issuer != "" {
		p := login.Provider{Issuer: f.issuer, ClientID: f.clientID, Scopes: f.scopes}
		if f.issuerCA != "" {
			data, err := a.readFile(f.issuerCA, maxSecret)
			if err != nil {
				return p, err
			}
			p.CA = string(data)
		}
		return p, nil
	}
	host, err := target.Host()
	if err != nil {
		return login.Provider{}, usage("--server: %s", err)
	}
	config, err := target.TLS()
	if err != nil {
		return login.Provider{}, err
	}
	known, err := login.Ask(ctx, "https://"+host, config)
	if err != nil {
		return login.Provider{}, err
	}
	var names []string
	for _, p := range known.Providers {
		if p.Name == f.provider || f.provider == "" && len(known.Providers) == 1 {
			return p, nil
		}
		names = append(names, p.Name)
	}
	switch {
	case len(names) == 0:
		return login.Provider{}, failed("the hub at %s names no identity provider to sign in by; its operator configures them with --oidc-config", host)
	case f.provider == "":
		return login.Provider{}, usage("the hub at %s knows several identity providers; choose one with --provider: %s", host, strings.Join(names, ", "))
	}
	return login.Provider{}, failed("the hub at %s knows no identity provider %q to sign in by; there are %s", host, f.provider, strings.Join(names, ", "))
}

func (a *app) showCode(c login.Code) {
	a.say("Open %s on any device, and type in the code:\n\n    %s\n", table.Clean(cmp.Or(c.URL, c.Complete)), table.Clean(c.User))
	if c.Complete != "" && c.Complete != c.URL {
		a.say("or open %s", table.Clean(c.Complete))
	}
}

// showAddress opens a browser, if there is one.
func (a *app) showAddress(ctx context.Context, address string, only bool) {
	if !only && a.io.ErrTerminal && openBrowser(ctx, address) == nil {
		a.say("Your browser is to show where to sign in. If it does not, open this:\n\n%s\n", address)
		return
	}
	a.say("Open this in a browser on this machine (--device: on another one):\n\n%s\n", address)
}

// openBrowser shows a page to whoever sits at the machine.
func openBrowser(ctx context.Context, address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" {
		return errors.New("that is no page")
	}
	program := []string{"xdg-open", address}
	switch runtime.GOOS {
	case "darwin":
		program[0] = "open"
	case "windows":
		program = []string{"rundll32", "url.dll,FileProtocolHandler", address}
	}
	return exec.CommandContext(context.WithoutCancel(ctx), program[0], program[1:]...).Start()
}

// keepLogin asks the hub who that is, and keeps the sign-in if the hub takes it.
func (a *app) keepLogin(ctx context.Context, target clientconfig.Context) error {
	config, err := client.FromContext(target)
	if err != nil {
		return err
	}
	config.Token, config.RequestTimeout = target.Login.IDToken, a.requestTimeout
	hub, err := client.New(config)
	if err != nil {
		return err
	}
	defer hub.Close()
	a.context, a.address = target.Name, config.Server
	who, err := hub.WhoAmI(ctx, &hubv1.WhoAmIRequest{})
	if err != nil {
		return err
	}
	file, path, err := a.editableConfig()
	if err != nil {
		return err
	}
	_, existed := file.Context(target.Name)
	file.Put(target)
	if existed != nil {
		file.CurrentContext = target.Name
	}
	if err := file.Save(path); err != nil {
		return err
	}
	a.say("signed in to %s (context %q) as %s", config.Server, target.Name, table.Clean(who.GetActor()))
	if len(who.GetRoleBindings()) == 0 {
		a.say("no rolebinding names you yet, so you may do nothing; 'yardarm auth whoami' shows what to name")
	}
	return nil
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget a sign-in, and end it at the identity provider",
		Long: `Forget the sign-in of a context, and end it at the identity provider where that lets one. The context stays. An ID
token that somebody has copied counts until it expires, which is minutes to an hour.`,
		Example: "  yardarm logout\n  yardarm logout --context production",
		Args:    arguments(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.logout(cmd.Context()) },
	}
}

func (a *app) logout(ctx context.Context) error {
	_, path, err := a.loadConfig()
	if err != nil {
		return err
	}
	var name string
	var ended clientconfig.Login
	err = clientconfig.Edit(path, func(c *clientconfig.Config) error {
		found, err := c.Context(a.chosenContext())
		if err != nil {
			return failed("%w in %s", err, path)
		}
		if found.Login == nil {
			return failed("context %q is not signed in; 'yardarm config delete-context %s' forgets it, and any other credential of it", found.Name, found.Name)
		}
		name, ended, found.Login = found.Name, *found.Login, nil
		return nil
	})
	if err != nil {
		return err
	}
	a.say("signed out of context %q", name)
	if ended.RefreshToken == "" {
		return nil
	}
	provider, err := login.New(ctx, providerOf(ended))
	if err == nil {
		defer provider.Close()
		err = provider.Revoke(ctx, ended.RefreshToken)
	}
	if err != nil {
		a.warn("the sign-in is forgotten here, and may still count at the identity provider: %s", err)
	}
	return nil
}
