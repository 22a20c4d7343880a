package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
)

// Output formats.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
	formatJUnit = "junit"
)

// formatFlag adds -o with the formats that a command has; the first is the default.
func formatFlag(cmd *cobra.Command, target *string, formats ...string) {
	cmd.Flags().StringVarP(target, "output", "o", formats[0], "output format: "+strings.Join(formats, ", "))
	complete(cmd, "output", words(formats...))
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, *target) {
			return usage("-o %s: there is no such format here; there are %s", *target, strings.Join(formats, ", "))
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// printValue writes a value as JSON or YAML.
func (a *app) printValue(format string, value any) error {
	encode := resource.JSON
	if format == formatYAML {
		encode = resource.YAML
	}
	data, err := encode(value)
	if err == nil {
		_, err = a.io.Out.Write(data)
	}
	return err
}

// printMessage writes a message as JSON or YAML.
func (a *app) printMessage(format string, message proto.Message) error {
	value, err := resource.Value(message)
	if err != nil {
		return err
	}
	return a.printValue(format, value)
}

// printObjects writes resources as JSON, YAML or names. single says that exactly one was asked for, which is then written without a List around it.
func (a *app) printObjects(format string, objects []client.Object, single bool) error {
	if format == formatName {
		for _, object := range objects {
			a.print("%s", typeName(object))
		}
		return nil
	}
	var items []map[string]any
	for _, object := range objects {
		value, err := resource.Value(object)
		if err != nil {
			return err
		}
		items = append(items, value)
	}
	if single && len(items) == 1 {
		return a.printValue(format, items[0])
	}
	return a.printValue(format, resource.List(items))
}

// view is the table of one type.
type view struct {
	app     *app
	columns []column
	table   *table.Table
}

func (a *app) newView(t resource.Type, wide bool) *view {
	v := &view{app: a}
	var header []string
	for _, c := range columnsOf(t) {
		if wide || !c.wide {
			v.columns = append(v.columns, c)
			header = append(header, c.name)
		}
	}
	v.table = a.newTable(header...)
	return v
}

func (v *view) add(object client.Object) {
	var cells []table.Cell
	for _, c := range v.columns {
		cells = append(cells, c.cell(v.app, object))
	}
	v.table.Add(cells...)
}

// addDeleted adds a row that says that the resource is gone.
func (v *view) addDeleted(object client.Object) {
	cells := make([]table.Cell, len(v.columns))
	for i, c := range v.columns {
		cells[i] = table.Text("-")
		// What names the resource: the columns up to the first that says how it is.
		if c.name == "NAME" || c.name == "CLUSTER" || c.name == "BUNDLE" {
			cells[i] = c.cell(v.app, object)
		}
	}
	cells[len(cells)-1] = table.Text("(deleted)")
	v.table.Add(cells...)
}

// news is what a row says, without what changes with the clock alone.
func (v *view) news(object client.Object) string {
	var b strings.Builder
	for _, c := range v.columns {
		if !c.moves {
			fmt.Fprintf(&b, "%s\x00", c.cell(v.app, object).Text)
		}
	}
	return b.String()
}
