package main

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// openWire opens a network device of a namespace as a link for [ether.plug]: all frames that come in there, each behind a
// virtio header, without which those that the kernel has left unfinished (checksums, segments put together) would be broken.
func openWire(space, device string) (link *os.File, err error) {
	err = inSpace(space, func() error {
		link, err = openDevice(device)
		return err
	})
	return link, err
}

// inSpace calls f in a network namespace made by iproute2. Sockets that are made there stay there.
func inSpace(space string, f func() error) error {
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+space, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			errs <- fmt.Errorf("network namespace %s: %w", space, err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			errs <- fmt.Errorf("network namespace %s: %w", space, err)
			return
		}
		errs <- f()
	}()
	return <-errs
}

func openDevice(device string) (*os.File, error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	all := int(htons(unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	for _, option := range []struct {
		name  string
		value func() error
	}{
		{"PACKET_VNET_HDR", func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1) }},
		{"PACKET_IGNORE_OUTGOING", func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) }},
		{"PACKET_MR_PROMISC", func() error {
			return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(dev.Index), Type: unix.PACKET_MR_PROMISC})
		}},
		{"bind", func() error { return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: dev.Index}) }},
	} {
		if err := option.value(); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("packet socket on %s: %s: %w", device, option.name, err)
		}
	}
	return os.NewFile(uintptr(fd), device), nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
