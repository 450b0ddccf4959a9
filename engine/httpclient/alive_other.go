//go:build !linux

package httpclient

import "net"

// alive cannot look into the kernel here: a closed connection shows when it is used.
func alive(net.Conn) bool { return true }

// stalled cannot look into the kernel here either.
func stalled(net.Conn) bool { return false }
