package httpclient

import (
	"encoding/binary"
	"net"
	"syscall"
)

// tcpEstablished is the state of a connection that neither side has closed, from linux/tcp_states.h.
const tcpEstablished = 1

// tcpView is how struct tcp_info of linux/tcp.h begins.
type tcpView struct {
	state       byte
	retransmits byte // of the same bytes, one after the other
}

// alive tells whether the other side has not closed the connection as far as the kernel knows. It works under TLS
// too, where unread bytes such as session tickets would hide an end of file.
func alive(c net.Conn) bool {
	v, known := viewOf(c)
	return !known || v.state == tcpEstablished
}

// stalled tells whether the other side does not acknowledge what was sent, so that the kernel sends it again and again.
func stalled(c net.Conn) bool {
	v, known := viewOf(c)
	return known && v.retransmits > 0
}

// viewOf asks the kernel how a connection fares; a closed one has no state. It is not known of what is not TCP.
func viewOf(c net.Conn) (v tcpView, known bool) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return v, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return v, true
	}
	var asked error
	err = raw.Control(func(fd uintptr) {
		var first [4]byte
		var info int
		info, asked = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		binary.NativeEndian.PutUint32(first[:], uint32(info))
		v = tcpView{state: first[0], retransmits: first[2]}
	})
	return v, err != nil || asked == nil
}
