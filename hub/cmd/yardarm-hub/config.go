package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/yardarm-dev/yardarm/hub"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check or show what a hub would be run with",
		Long: `Every setting is a flag of run. What the command line does not give is taken from the environment, as in
YARDARM_HUB_DATA_DIR for --data-dir, and what that does not give from the file that --config or YARDARM_HUB_CONFIG names:

  # hub.yaml
  data-dir: /var/lib/yardarm
  address: [hub.example.com]
  stale-after: 2m

A name in it that no flag has is refused. Secrets have no place there: the hub key is a file, or YARDARM_HUB_KEY.`,
	}
	c.AddCommand(configCheckCommand(), configShowCommand())
	return c
}

func configCheckCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:     "check",
		Short:   "Tell whether a hub could be run with this, and what is wrong if not",
		Long:    "Checks the settings and reads the files that they name, as run does at its start. It opens no port and no database.",
		Example: "  yardarm-hub config check --config hub.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := s.config()
			if err != nil {
				return err
			}
			h, err := hub.New(config)
			if err != nil {
				return err
			}
			if err := h.Check(); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "the configuration is good")
			return nil
		},
	}
	s.flags(c.Flags())
	return c
}

func configShowCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:     "show",
		Short:   "Print all settings, and where each is from, as a configuration file",
		Example: "  yardarm-hub config show --config hub.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := showSettings(c.Flags())
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
	s.flags(c.Flags())
	return c
}

// showSettings writes flags as a configuration file that gives the same.
func showSettings(f *pflag.FlagSet) ([]byte, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	known := pflag.NewFlagSet("run", pflag.ContinueOnError)
	new(settings).flags(known)
	var err error
	f.VisitAll(func(flag *pflag.Flag) {
		if known.Lookup(flag.Name) == nil {
			return
		}
		source := "default"
		if note := flag.Annotations[sourceNote]; len(note) > 0 {
			source = note[0]
		} else if flag.Changed {
			source = "command line"
		}
		value := &yaml.Node{}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			err = value.Encode(list.GetSlice())
			value.Style = yaml.FlowStyle
		} else {
			value.SetString(flag.Value.String())
			value.Tag = tagOf(flag)
		}
		value.LineComment = source
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: flag.Name}, value)
	})
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(out)
}

// tagOf has numbers, true and false written without quotes.
func tagOf(flag *pflag.Flag) string {
	if flag.Value.Type() == "bool" {
		return "!!bool"
	}
	if strings.TrimPrefix(strings.TrimSuffix(flag.Value.Type(), "64"), "u") == "int" {
		return "!!int"
	}
	return "!!str"
}
