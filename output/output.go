// Package output defines where samples go while a test runs. Each kind of output is a package of its
// own below this one.
package output

import "hive/engine/metric"

// Output takes samples as they were measured.
type Output interface {
	// Start opens what the output writes to.
	Start() error
	// Add takes samples over. It may be called concurrently and must not wait for the other end.
	Add([]metric.Sample)
	// Stop writes what is left and closes; cause is why the run ended, nil when it ended as planned.
	// Its error says what could not be written.
	Stop(cause error) error
	// Description says where the samples go, for people.
	Description() string
}
