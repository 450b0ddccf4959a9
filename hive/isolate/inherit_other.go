//go:build !unix

package isolate

import "errors"

// adopt fails: this system does not hand files down by number.
func adopt(int) error { return errors.ErrUnsupported }
