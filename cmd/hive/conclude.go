package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"hive/hive"
)

// conclude writes what a run left behind, and turns how it ended into the error that decides the exit code.
func (a *app) conclude(c *cli.Context, r *hive.Result) error {
	// A file that cannot be written is told of, but does not change how the test ended.
	for _, err := range []error{a.writeSummary(r, a.color(c, a.screen.out)), writeExport(c.String("summary-export"), r)} {
		if err != nil {
			a.logs.Error(err.Error())
		}
	}
	if r.Failure == nil {
		return nil
	}
	return r.Failure
}

// writeSummary writes what handleSummary returned, or else the default text, which is empty when there is no summary.
func (a *app) writeSummary(r *hive.Result, color bool) error {
	if !r.Handled {
		text := r.Text
		if color {
			text = r.ColorText
		}
		_, err := io.WriteString(a.screen.out, text)
		return err
	}
	// Folders are not made. Each file is tried, whatever became of the others.
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		if err := a.writeFile(path, r.Files[path]); err != nil {
			errs = append(errs, fmt.Errorf("handleSummary: %w", err))
		}
	}
	return errors.Join(errs...)
}

// writeFile writes one entry of handleSummary's object: two names stand for the process's streams.
func (a *app) writeFile(path string, data []byte) error {
	switch path {
	case "stdout":
		_, err := a.screen.out.Write(data)
		return err
	case "stderr":
		_, err := a.screen.err.Write(data)
		return err
	default:
		return os.WriteFile(path, data, 0o666)
	}
}

func writeExport(path string, r *hive.Result) error {
	if path == "" || r.Export == nil {
		return nil
	}
	if err := os.WriteFile(path, r.Export, 0o666); err != nil {
		return fmt.Errorf("summary export: %w", err)
	}
	return nil
}
