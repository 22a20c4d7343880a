package cli

import "github.com/spf13/cobra"

// dryRunFlag is on every command that changes something at the hub.
func dryRunFlag(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "have the hub check it and say what would change, and change nothing")
}

// dryNote stands behind what a dry run says.
func dryNote(dryRun bool) string {
	if dryRun {
		return " (dry run)"
	}
	return ""
}
