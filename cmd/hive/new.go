package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"
)

//go:embed templates/minimal.js
var minimalScript []byte

//go:embed templates/protocol.js
var protocolScript []byte

func (a *app) newCommand() *cli.Command {
	return &cli.Command{
		Name:      "new",
		Usage:     "write a script to start from",
		ArgsUsage: "[FILE]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "replace a file that exists"},
			&cli.StringFlag{Name: "template", Value: "minimal", Usage: "`name` of the template: minimal, protocol, or a file"},
			&cli.StringFlag{Name: "project-id", Hidden: true},
		},
		Action: a.newScript,
	}
}

func (a *app) newScript(c *cli.Context) error {
	if c.IsSet("project-id") {
		return usageError("--project-id is not supported: hive has no cloud")
	}
	if c.NArg() > 1 {
		return usageError("new takes one argument, the file to write; found %d", c.NArg())
	}
	path := "script.js"
	if c.NArg() == 1 {
		path = c.Args().First()
	}
	text, err := scriptTemplate(c.String("template"))
	if err != nil {
		return err
	}
	if err := writeNew(path, text, c.Bool("force")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.screen.out, "New script created: %s (%s template).\n", path, c.String("template"))
	return err
}

// scriptTemplate is the text of a named template, or of a file.
func scriptTemplate(name string) ([]byte, error) {
	switch name {
	case "minimal":
		return minimalScript, nil
	case "protocol":
		return protocolScript, nil
	case "browser":
		return nil, usageError("--template browser: hive has no k6/browser; there are minimal and protocol")
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("--template %s: neither a template (minimal, protocol) nor a file", name)
	}
	return text, err
}

// writeNew writes a file that must not exist, unless force is given.
func writeNew(path string, data []byte, force bool) error {
	mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if force {
		mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists; --force replaces it", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
