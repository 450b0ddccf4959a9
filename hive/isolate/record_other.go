//go:build !linux

package isolate

import (
	"errors"
	"os"

	"hive/engine/executor"
)

// record is memory that a child shares with this process; there is none on this system.
type record struct{ file *os.File }

func newRecord(int) (*record, error) { return nil, nil }

func inheritedRecord() (executor.Begun, error) {
	return nil, errors.New("memory to share with the engine process: not on this system")
}

func (r *record) marks([]executor.Scenario) []executor.Marks { return nil }
func (r *record) handed() error                              { return nil }
func (r *record) free() error                                { return nil }
