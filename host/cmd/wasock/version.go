package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/wasock/wasock/hostcalls"
	"github.com/wasock/wasock/wasm"
)

// versions is what wasock version prints.
type versions struct {
	Wasock       string `json:"wasock"`
	Revision     string `json:"revision,omitempty"` // of the source; "+changes" behind it if that was changed
	EngineSHA256 string `json:"engine_sha256"`
	ABIVersion   int    `json:"abi_version"`
	Wazero       string `json:"wazero"`
	Go           string `json:"go"`
	Platform     string `json:"platform"`
}

func newVersion() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of what is in it",
		Example: `  wasock version
  wasock version --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := readVersions()
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(v)
			}
			wasock := v.Wasock
			if v.Revision != "" {
				wasock += " (" + v.Revision + ")"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "wasock  %s\nengine  sha256:%s\nABI     %d\nwazero  %s\nGo      %s %s\n",
				wasock, v.EngineSHA256, v.ABIVersion, v.Wazero, v.Go, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func readVersions() versions {
	v := versions{
		Wasock: "unknown", EngineSHA256: wasm.EngineSHA256(), ABIVersion: hostcalls.Version,
		Wazero: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Wasock = b.Main.Version
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Revision = s.Value + v.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Revision += "+changes"
		}
	}
	for _, m := range b.Deps {
		if m.Path != "github.com/tetratelabs/wazero" {
			continue
		}
		if v.Wazero = m.Version; m.Replace != nil {
			v.Wazero = m.Replace.Path + " " + m.Replace.Version
		}
	}
	return v
}
