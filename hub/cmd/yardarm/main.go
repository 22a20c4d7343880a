// Command yardarm is the command line of Yardarm: it delivers to a fleet of Kubernetes clusters through their hub. Everything is in package cli.
package main

import (
	"os"

	"github.com/yardarm-dev/yardarm/pkg/cli"
)

func main() { os.Exit(cli.Main()) }
