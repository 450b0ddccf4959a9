package machine

import (
	"os"
	"strconv"
	"strings"
)

// portRange is where Linux tells which ports it gives to outgoing connections.
const portRange = "/proc/sys/net/ipv4/ip_local_port_range"

// Ports is how many connections one source address can have to one address and port; 0 where that cannot be learned.
func Ports() int {
	text, err := os.ReadFile(portRange)
	if err != nil {
		return 0
	}
	return portsIn(string(text))
}

// portsIn counts the ports of a range, both ends among them.
func portsIn(text string) int {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0
	}
	first, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	last, err := strconv.Atoi(fields[1])
	if err != nil || last < first {
		return 0
	}
	return last - first + 1
}
