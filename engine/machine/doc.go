// Package machine says what the machine allows one process, and fits the process to it: how many files it may open,
// how many connections one source address can have to one target, how much memory there is, and how much of that the
// garbage collector may leave unused.
//
//	files, err := machine.RaiseFiles()
//	defer machine.TuneCollector(os.LookupEnv, machine.Memory())()
package machine
