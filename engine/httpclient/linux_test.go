package httpclient

import "runtime"

// onLinux tells whether error numbers are those that the tables name.
func onLinux() bool { return runtime.GOOS == "linux" }
