package main

import "hive/engine/machine"

// fitProcess makes the most of what the machine allows the process, for as long as it lives: open files up to the hard
// limit, and memory for results rather than for garbage (GOGC and GOMEMLIMIT in the environment go first).
func (a *app) fitProcess() {
	if _, err := machine.RaiseFiles(); err != nil {
		a.report(err)
	}
	machine.TuneCollector(a.lookup, machine.Memory())
}
