// Command hive is a load tester that runs k6 scripts on this machine or on a hive of equal peers.
//
// The package reads flags, environment and configuration file, hands one consolidated description of a run to the
// packages that do the work, shows how it goes, and turns how it ended into an exit code. There is one file for each
// command.
package main

import (
	"context"
	"os"
)

func main() {
	a := newApp()
	a.fitProcess()
	os.Exit(a.Run(context.Background(), os.Args[1:]))
}
