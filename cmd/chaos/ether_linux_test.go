package main

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// cable is a link whose far end is the test.
type cable struct {
	in     chan []byte
	out    chan []byte
	closed chan struct{}
}

func newCable() *cable {
	return &cable{in: make(chan []byte), out: make(chan []byte, 100), closed: make(chan struct{})}
}

func (c *cable) Read(b []byte) (int, error) {
	select {
	case f := <-c.in:
		return copy(b, f), nil
	case <-c.closed:
		return 0, io.EOF
	}
}

func (c *cable) Write(b []byte) (int, error) {
	c.out <- slices.Clone(b)
	return len(b), nil
}

func (c *cable) Close() error { close(c.closed); return nil }

// frame is an Ethernet frame behind an empty virtio header, with a TCP segment between two ports in it if they are not 0.
func frame(to, from byte, fromPort, toPort uint16) []byte {
	f := make([]byte, header+ethernet+40)
	f[header+5], f[header+11] = to, from
	if fromPort != 0 {
		body := f[header:]
		binary.BigEndian.PutUint16(body[12:], ipv4)
		body[ethernet], body[ethernet+9] = 0x45, tcp
		binary.BigEndian.PutUint16(body[ethernet+20:], fromPort)
		binary.BigEndian.PutUint16(body[ethernet+22:], toPort)
	}
	return f
}

// rig is a switch with the target at one port and three nodes at others; the addresses are 9, 1, 2 and 3.
func rig(t *testing.T, w weather) (e *ether, target *cable, nodes [4]*cable) {
	e, target = newEther(w), newCable()
	e.plug(outside, target)
	for i := 1; i < 4; i++ {
		nodes[i] = newCable()
		e.plug(i, nodes[i])
	}
	t.Cleanup(func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	// All say something to nobody, so that the switch knows where they are.
	target.in <- frame(0, 9, 0, 0)
	for i := 1; i < 4; i++ {
		nodes[i].in <- frame(0, byte(i), 0, 0)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	for _, c := range []*cable{target, nodes[1], nodes[2], nodes[3]} {
		for len(c.out) > 0 {
			<-c.out
		}
	}
	return e, target, nodes
}

func TestEtherSendsFramesToWhomTheyAreFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, nodes := rig(t, weather{})
		nodes[1].in <- frame(2, 1, 0, 0)
		synctest.Wait()
		if got := []int{len(nodes[1].out), len(nodes[2].out), len(nodes[3].out)}; !slices.Equal(got, []int{0, 1, 0}) {
			t.Errorf("frames at the ports: %v, want one at the second", got)
		}
		nodes[1].in <- frame(0xff, 1, 0, 0)
		synctest.Wait()
		if got := []int{len(nodes[1].out), len(nodes[2].out), len(nodes[3].out)}; !slices.Equal(got, []int{0, 2, 1}) {
			t.Errorf("frames at the ports: %v, want one more at the second and the third", got)
		}
	})
}

func TestEtherDelaysBetweenNodesOnlyAndKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, target, nodes := rig(t, weather{delay: 100 * time.Millisecond, jitter: 20 * time.Millisecond})
		began := time.Now()
		for i := range 50 {
			f := frame(2, 1, 0, 0)
			f[len(f)-1] = byte(i)
			nodes[1].in <- f
		}
		nodes[1].in <- frame(9, 1, 0, 0)
		<-target.out
		if took := time.Since(began); took != 0 {
			t.Errorf("the target had its frame after %s, want at once", took)
		}
		for i := range 50 {
			f := <-nodes[2].out
			if got := int(f[len(f)-1]); got != i {
				t.Fatalf("frame %d came in the place of frame %d", got, i)
			}
			if took := time.Since(began); took < 80*time.Millisecond || took > 120*time.Millisecond {
				t.Errorf("frame %d took %s, want 80ms to 120ms", i, took)
			}
		}
	})
}

func TestEtherLosesAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, nodes := rig(t, weather{loss: 0.25})
		got := 0
		for range 4000 {
			nodes[1].in <- frame(2, 1, 0, 0)
			synctest.Wait()
			for len(nodes[2].out) > 0 {
				<-nodes[2].out
				got++
			}
		}
		if got < 2800 || got > 3200 {
			t.Errorf("%d of 4000 frames came through a loss of a quarter", got)
		}
	})
}

func TestEtherRules(t *testing.T) {
	cases := []struct {
		name string
		rule rule
		// Whether a frame comes through from node 1 to node 2 with etcd's ports, the same way back, from node 1 to node 2 with
		// the API's port, from node 1 to the target.
		want [4]bool
	}{
		{"both ways", rule{from: only(1), to: but(outside), either: true}, [4]bool{false, false, false, true}},
		{"what it sends", rule{from: only(1), to: but(outside)}, [4]bool{false, true, false, true}},
		{"what it hears", rule{from: but(outside), to: only(1)}, [4]bool{true, false, true, true}},
		{"everybody", rule{from: only(1), to: anyPort, either: true}, [4]bool{false, false, false, false}},
		{"the API", rule{from: only(1), to: but(outside), either: true, service: api}, [4]bool{true, true, false, true}},
		{"etcd", rule{from: only(1), to: but(outside), either: true, service: theRest}, [4]bool{false, false, true, true}},
		{"another node", rule{from: only(3), to: anyPort, either: true}, [4]bool{true, true, true, true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, target, nodes := rig(t, weather{})
				send := func(from *cable, to *cable, f []byte) bool {
					from.in <- f
					synctest.Wait()
					select {
					case <-to.out:
						return true
					default:
						return false
					}
				}
				all := func() [4]bool {
					return [4]bool{
						send(nodes[1], nodes[2], frame(2, 1, 40000, 41000)), send(nodes[2], nodes[1], frame(1, 2, 41000, 40000)),
						send(nodes[1], nodes[2], frame(2, 1, 40000, apiPort)), send(nodes[1], target, frame(9, 1, 40000, 50000)),
					}
				}
				end := e.block(c.rule)
				if got := all(); got != c.want {
					t.Errorf("frames came through: %v, want %v", got, c.want)
				}
				end()
				if got := all(); got != [4]bool{true, true, true, true} {
					t.Errorf("after the rule's end frames came through: %v, want all", got)
				}
			})
		})
	}
}

// A real connection through the switch, with all that the kernel leaves to network devices.
func TestEtherCarriesConnections(t *testing.T) {
	if !canNetwork() {
		t.Skip("network namespaces cannot be made here")
	}
	n, err := newNetwork(&weather{delay: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	var spaces [2]string
	for i := range spaces {
		if spaces[i], err = n.add(i); err != nil {
			t.Fatal(err)
		}
	}
	const size = 4 << 20
	var l net.Listener
	if err := inSpace(spaces[0], func() (err error) {
		l, err = net.Listen("tcp", n.address(0)+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- -1
			return
		}
		defer c.Close()
		read, _ := io.Copy(io.Discard, c)
		got <- read
	}()
	var c net.Conn
	if err := inSpace(spaces[1], func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if read := <-got; read != size {
		t.Errorf("%d bytes came through, want %d", read, size)
	}
}
