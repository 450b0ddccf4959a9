package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// version and commit of this build; the Makefile sets them from the repository.
var (
	version = hive.Version
	commit  = ""
)

// buildInfo is what `hive version --json` prints.
type buildInfo struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	GoVersion string `json:"go_version"`
	GoOS      string `json:"go_os"`
	GoArch    string `json:"go_arch"`
}

func thisBuild() buildInfo {
	return buildInfo{Version: version, Commit: commit, GoVersion: runtime.Version(), GoOS: runtime.GOOS, GoArch: runtime.GOARCH}
}

func (b buildInfo) String() string {
	revision := ""
	if b.Commit != "" {
		revision = "commit/" + b.Commit + ", "
	}
	return fmt.Sprintf("hive %s (%s%s, %s/%s)", b.Version, revision, b.GoVersion, b.GoOS, b.GoArch)
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version of this program",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return a.printVersion(c.Bool("json"))
		},
	}
}

func (a *app) printVersion(asJSON bool) error {
	if asJSON {
		return writeJSON(a.screen.out, thisBuild())
	}
	_, err := fmt.Fprintln(a.screen.out, thisBuild())
	return err
}

// writeJSON prints v for machines and for eyes: indented, one newline at the end.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
