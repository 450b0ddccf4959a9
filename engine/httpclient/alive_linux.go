package httpclient

import (
	"encoding/binary"
	"net"
	"syscall"
)

// tcpEstablished is the state of a connection that neither side has closed, from linux/tcp_states.h.
const tcpEstablished = 1

// alive tells whether the other side has not closed the connection as far as the kernel knows. It works under TLS
// too, where unread bytes such as session tickets would hide an end of file.
func alive(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	open := true
	err = raw.Control(func(fd uintptr) {
		var first [4]byte // of struct tcp_info, which begins with the state
		info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		binary.NativeEndian.PutUint32(first[:], uint32(info))
		open = err != nil || first[0] == tcpEstablished
	})
	return err == nil && open
}
