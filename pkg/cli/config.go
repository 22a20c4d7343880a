package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// maskedToken stands for a credential in what is shown.
const maskedToken = "REDACTED"

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Manage contexts: which hubs there are, and who to be there",
		Long: `Manage contexts: which hubs there are, how to know them, and who to be there. They are in one file, which holds
credentials and so is for its owner only.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.getContextsCommand(), a.currentContextCommand(), a.useContextCommand(), a.setContextCommand(),
		a.deleteContextCommand(), a.importCommand(), a.viewCommand())
	return cmd
}

func (a *app) getContextsCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "get-contexts",
		Aliases: []string{"list"},
		Short:   "List contexts",
		Example: "  yardarm config get-contexts",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			file, path, err := a.editableConfig()
			if err != nil {
				return err
			}
			if len(file.Contexts) == 0 {
				a.say("there are no contexts in %s; 'yardarm config import FILE' takes those of another file", path)
				return nil
			}
			t := a.newTable("CURRENT", "NAME", "SERVER")
			for _, context := range file.Contexts {
				mark := "-"
				if context.Name == file.CurrentContext {
					mark = "*"
				}
				if output == formatName {
					a.print("%s", context.Name)
				}
				t.Add(table.Text(mark), table.Text(context.Name), table.Text(context.Server))
			}
			if output == formatName {
				return nil
			}
			return a.write(t)
		},
	}
	formatFlag(cmd, &output, formatTable, formatName)
	return cmd
}

func (a *app) currentContextCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "current-context",
		Short:   "Print the name of the context that commands use",
		Example: "  yardarm config current-context",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			file, path, err := a.loadConfig()
			if err != nil {
				return err
			}
			context, err := file.Context(a.chosenContext())
			if err != nil {
				return failed("%w in %s; 'yardarm config use-context NAME' chooses one", err, path)
			}
			a.print("%s", context.Name)
			return nil
		},
	}
}

func (a *app) useContextCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use-context NAME",
		Short:             "Make a context the one that commands use",
		Example:           "  yardarm config use-context production",
		Args:              arguments(1, 1, "the name of a context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			file, path, err := a.loadConfig()
			if err != nil {
				return err
			}
			if _, err := file.Context(args[0]); err != nil {
				return failed("%w in %s; 'yardarm config get-contexts' lists those there are", err, path)
			}
			file.CurrentContext = args[0]
			if err := file.Save(path); err != nil {
				return err
			}
			a.say("switched to context %q", args[0])
			return nil
		},
	}
}

func (a *app) setContextCommand() *cobra.Command {
	var cert, key string
	cmd := &cobra.Command{
		Use:   "set-context NAME",
		Short: "Make a context, or change what is given of one",
		Long: `Make a context, or change what is given of one.

The token is read from a file, or from standard input with -, and never from the command line, where others
could see it.`,
		Example: `  yardarm config set-context production --server hub.example.com:8443 --ca hub-ca.pem --token-file token
  pass show yardarm | yardarm config set-context production --token-file -`,
		Args:              arguments(1, 1, "the name of a context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, path, err := a.editableConfig()
			if err != nil {
				return err
			}
			changed := clientconfig.Context{Name: args[0]}
			made := "changed"
			if existing, err := file.Context(args[0]); err == nil {
				changed = *existing
			} else if made = "created"; a.server == "" {
				return usage("a new context needs --server HOST:PORT")
			}
			if a.server != "" {
				changed.Server = withScheme(a.server)
			}
			if cmd.Flags().Changed("ca") {
				changed.CA = ""
				if a.ca != "" {
					data, err := a.readFile(a.ca, maxSecret)
					if err != nil {
						return err
					}
					changed.CA = string(data)
				}
			}
			if a.tokenFile != "" {
				data, err := a.readFile(a.tokenFile, maxSecret)
				if err != nil {
					return err
				}
				changed.Token, changed.Login = strings.TrimSpace(string(data)), nil
			}
			if (cert == "") != (key == "") {
				return usage("a client certificate is --client-cert and --client-key")
			}
			for from, field := range map[string]*string{cert: &changed.ClientCertificate, key: &changed.ClientKey} {
				if from == "" {
					continue
				}
				data, err := a.readFile(from, maxSecret)
				if err != nil {
					return err
				}
				*field = string(data)
			}
			file.Put(changed)
			if err := file.Save(path); err != nil {
				return err
			}
			a.say("context %q %s", args[0], made)
			return nil
		},
	}
	cmd.Flags().StringVar(&cert, "client-cert", "", "file with a client certificate, in PEM, to be there by, for hubs with --client-ca")
	cmd.Flags().StringVar(&key, "client-key", "", "file with its key, in PEM")
	return cmd
}

// maxSecret is the size of a file with a token or a CA, in bytes; the largest bundles of CAs are a quarter of it.
const maxSecret = 1 << 20

func (a *app) deleteContextCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "delete-context NAME",
		Short:             "Forget a context and its credential",
		Example:           "  yardarm config delete-context production",
		Args:              arguments(1, 1, "the name of a context"),
		ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			file, path, err := a.loadConfig()
			if err != nil {
				return err
			}
			current := file.CurrentContext
			if !file.Remove(args[0]) {
				return failed("there is no context %q in %s", args[0], path)
			}
			if err := file.Save(path); err != nil {
				return err
			}
			a.say("context %q deleted", args[0])
			if current == args[0] {
				a.say("it was the current one; 'yardarm config use-context NAME' chooses another")
			}
			return nil
		},
	}
}

func (a *app) importCommand() *cobra.Command {
	var name string
	var use bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take the contexts of another file, such as the one that the hub writes for its administrator",
		Long: `Take the contexts of another file into yours, and make its current one yours. A hub writes such a file for its
administrator when it first starts. A context that you have under the same name is replaced.`,
		Example: `  yardarm config import /var/lib/yardarm-hub/admin.yaml
  ssh hub cat /var/lib/yardarm-hub/admin.yaml | yardarm config import - --name production`,
		Args: arguments(1, 1, "the file to import, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.importConfig(args[0], name, use)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "call the context so; for files with one context")
	cmd.Flags().BoolVar(&use, "use", true, "make the file's current context yours")
	return cmd
}

func (a *app) importConfig(from, name string, use bool) error {
	source := from
	if from == "-" {
		// The file's format is known to the package that reads it from disk.
		data, err := a.readFile(from, maxSecret)
		if err != nil {
			return err
		}
		temp, err := os.MkdirTemp("", "yardarm-import-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(temp) }() // best effort: it is the user's own and readable by nobody else
		source = temp + "/config.yaml"
		if err := os.WriteFile(source, data, 0o600); err != nil {
			return err
		}
	}
	imported, err := clientconfig.Load(source)
	if err != nil {
		return err
	}
	if len(imported.Contexts) == 0 {
		return usage("there are no contexts in %s", from)
	}
	if name != "" && len(imported.Contexts) > 1 {
		return usage("--name is for files with one context; %s has %d", from, len(imported.Contexts))
	}
	file, path, err := a.editableConfig()
	if err != nil {
		return err
	}
	current := imported.CurrentContext
	for _, context := range imported.Contexts {
		if name != "" {
			context.Name, current = name, name
		}
		verb := "imported"
		if _, err := file.Context(context.Name); err == nil {
			verb = "replaced"
		}
		file.Put(context)
		a.say("context %q %s (%s)", context.Name, verb, context.Server)
	}
	if use && current != "" {
		file.CurrentContext = current
	}
	return file.Save(path)
}

func (a *app) viewCommand() *cobra.Command {
	var output string
	var raw bool
	cmd := &cobra.Command{
		Use:   "view",
		Short: "Show the file of contexts, without its credentials",
		Example: "  yardarm config view\n\n" +
			"  # What curl needs to call the hub's REST API\n" +
			"  yardarm config view --raw -o json | jq -r '.contexts[0].token'",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			file, _, err := a.loadConfig()
			if err != nil {
				return err
			}
			for i := range file.Contexts {
				if !raw {
					file.Contexts[i] = file.Contexts[i].Masked(maskedToken)
				}
			}
			return a.printValue(output, file)
		},
	}
	formatFlag(cmd, &output, formatYAML, formatJSON)
	cmd.Flags().BoolVar(&raw, "raw", false, "show the credentials as well")
	return cmd
}

// editableConfig reads the file of contexts, or makes an empty one in memory if there is none.
func (a *app) editableConfig() (*clientconfig.Config, string, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, "", err
	}
	file, err := clientconfig.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return clientconfig.New(), path, nil
	}
	return file, path, err
}
