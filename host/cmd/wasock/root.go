package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot returns the command with all of its subcommands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "wasock",
		Short: "WebSocket connections whose protocol is a WebAssembly module",
		Long: `wasock runs WebSocket connections. The protocol is a WebAssembly module that
can reach nothing; this program moves its bytes, and only to where --allow-net
says.`,
		Example: `  wasock echo --listen 127.0.0.1:9001
  wasock connect ws://127.0.0.1:9001/
  printf 'hello\n' | wasock connect ws://127.0.0.1:9001/`,
		SilenceUsage:               true,
		SilenceErrors:              true, // run prints them, once
		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("unknown command %q%s", args[0], didYouMean(cmd.SuggestionsFor(args[0]), "see wasock --help"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().String("cache-dir", defaultCacheDir(), "`directory` for the compiled engine; empty for none")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.AddCommand(newEcho(), newConnect(), newPermissions(), newVersion(), newDemo())
	return root
}

// noArguments refuses arguments. cobra's own takes them for subcommands.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments; see %s --help", cmd.Name(), cmd.CommandPath())
	}
	return nil
}

// flagError adds what may have been meant to the error of a flag that does not
// exist, as cobra does for subcommands.
func flagError(cmd *cobra.Command, err error) error {
	see := "see " + cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("%w; %s", err, see)
	}
	var near []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := unknown.GetSpecifiedName()
		if !f.Hidden && (distance(name, f.Name) <= 2 || strings.HasPrefix(f.Name, name)) {
			near = append(near, "--"+f.Name)
		}
	})
	return fmt.Errorf("%w%s", err, didYouMean(near, see))
}

// didYouMean returns the end of an error: one of near, or else where to look.
func didYouMean(near []string, see string) string {
	if len(near) == 0 {
		return "; " + see
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// distance is the number of bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
