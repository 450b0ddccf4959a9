package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"hive/archive"
)

func (a *app) archiveCommand() *cli.Command {
	return &cli.Command{
		Name:      "archive",
		Usage:     "pack a script and all that it needs into one file",
		ArgsUsage: "FILE",
		Flags: join(scriptCommandFlags(false), []cli.Flag{
			&cli.StringFlag{Name: "archive-out", Aliases: []string{"O"}, Value: "archive.tar", Usage: "`file` to write; - is standard output"},
			&cli.BoolFlag{Name: "exclude-env-vars", Usage: "leave the variables of __ENV out"},
		}),
		Action: a.pack,
	}
}

func (a *app) pack(c *cli.Context) error {
	ctx, stop := interruptible(c.Context, a.leave)
	defer stop()
	s, err := a.open(ctx, c)
	if err != nil {
		return interruptedError(ctx, err)
	}
	packed, err := s.Archive(s.options)
	if err != nil {
		return err
	}
	if packed, err = packed.Anonymous(); err != nil { // it may be given to others
		return err
	}
	if c.Bool("exclude-env-vars") {
		packed.Env = nil
	}
	path := c.String("archive-out")
	if path == "-" {
		return archive.Pack(a.screen.out, packed)
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return errors.Join(archive.Pack(f, packed), f.Close())
}
