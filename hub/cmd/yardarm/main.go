// Command yardarm is the command line of Yardarm: it delivers to a fleet of Kubernetes clusters through their hub. Everything is in package cli.
package main

import (
	"os"

	"github.com/yardarm-dev/yardarm/pkg/cli"
	"github.com/yardarm-dev/yardarm/pkg/render"
)

func main() {
	render.Child()
	os.Exit(cli.Main())
}
