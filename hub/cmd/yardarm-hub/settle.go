package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const (
	// envPrefix begins the variables that give settings: YARDARM_HUB_DATA_DIR is --data-dir. Others that begin so are left alone: Kubernetes
	// sets YARDARM_HUB_SERVICE_HOST, YARDARM_HUB_PORT_… and the like in each pod beside a Service of that name.
	envPrefix = "YARDARM_HUB_"
	// maxConfig bounds the configuration file, in bytes.
	maxConfig = 1 << 20
	// sourceNote is the annotation of a flag that was given by something else than the command line: what, for `config show`.
	sourceNote = "yardarm-source"
)

// envName is the variable that gives a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// settle gives a command's flags what the command line has not: from the environment, or else from the file that --config or
// YARDARM_HUB_CONFIG names. Names are those of the flags of run; a file that says one which run does not have is refused, and a command
// takes of it what it has.
func settle(c *cobra.Command, env func(string) (string, bool)) error {
	known := pflag.NewFlagSet("run", pflag.ContinueOnError)
	new(settings).flags(known)
	file := c.Flag("config").Value.String()
	if given, ok := env(envName("config")); ok && file == "" {
		file = given
	}
	given, err := readConfig(file, known)
	if err != nil {
		return err
	}
	var problems []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || known.Lookup(f.Name) == nil {
			return
		}
		values, source := given[f.Name], file
		if text, ok := env(envName(f.Name)); ok {
			values, source = []string{text}, envName(f.Name)
		}
		for _, value := range values {
			if err := c.Flags().Set(f.Name, value); err != nil {
				problems = append(problems, fmt.Errorf("%s: %s: %w", source, f.Name, err))
			}
		}
		if len(values) > 0 {
			_ = c.Flags().SetAnnotation(f.Name, sourceNote, []string{source}) // the flag is there
		}
	})
	return errors.Join(problems...)
}

// readConfig answers the values of each setting in a file; none if there is no file.
func readConfig(file string, known *pflag.FlagSet) (map[string][]string, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("read the configuration: %s has more than %d bytes", file, maxConfig)
	}
	given, err := parseConfig(text, known)
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", file, err)
	}
	return given, nil
}

// parseConfig reads YAML: one mapping of the names of flags to a value, or to a list of them where the flag may be repeated.
func parseConfig(text []byte, known *pflag.FlagSet) (map[string][]string, error) {
	var given map[string]yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&given); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	out := map[string][]string{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		node := given[name]
		flag := known.Lookup(name)
		var values []string
		err := node.Decode(&values)
		if node.Kind == yaml.ScalarNode {
			values, err = []string{node.Value}, nil
		}
		_, repeatable := valueOf(flag).(pflag.SliceValue)
		switch {
		case flag == nil:
			problems = append(problems, fmt.Errorf("line %d: there is no setting %q; 'yardarm-hub run --help' lists them", node.Line, name))
		case err != nil:
			problems = append(problems, fmt.Errorf("line %d: %s: a value is needed, or a list of values", node.Line, name))
		case node.Kind == yaml.SequenceNode && !repeatable:
			problems = append(problems, fmt.Errorf("line %d: %s: takes one value, not a list", node.Line, name))
		default:
			out[name] = values
		}
	}
	return out, errors.Join(problems...)
}

func valueOf(flag *pflag.Flag) pflag.Value {
	if flag == nil {
		return nil
	}
	return flag.Value
}
