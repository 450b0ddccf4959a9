package httpclient

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// LocalIPs is a pool of source addresses, dealt to virtual users in turn.
type LocalIPs struct {
	ranges []ipRange
	total  uint64
}

// ipRange is n successive addresses.
type ipRange struct {
	first netip.Addr
	n     uint64
}

// ParseLocalIPs reads a comma-separated list of addresses, ranges ("10.0.0.1-10.0.0.9") and networks
// ("10.0.0.0/24"). An IPv4 network of more than two addresses counts without its first and last.
func ParseLocalIPs(list string) (*LocalIPs, error) {
	p := &LocalIPs{}
	for _, item := range strings.Split(list, ",") {
		r, err := parseRange(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("local IPs: %q: %w", item, err)
		}
		if p.total+r.n < p.total {
			return nil, fmt.Errorf("local IPs: %q: too many addresses", item)
		}
		p.ranges, p.total = append(p.ranges, r), p.total+r.n
	}
	return p, nil
}

func parseRange(s string) (ipRange, error) {
	if from, to, ok := strings.Cut(s, "-"); ok {
		first, err := netip.ParseAddr(from)
		if err != nil {
			return ipRange{}, err
		}
		last, err := netip.ParseAddr(to)
		if err != nil {
			return ipRange{}, err
		}
		if first.BitLen() != last.BitLen() || last.Less(first) {
			return ipRange{}, fmt.Errorf("want a range from a lower to a higher address of the same IP version")
		}
		return ipRange{first, distance(first, last)}, nil
	}
	if strings.Contains(s, "/") {
		network, err := netip.ParsePrefix(s)
		if err != nil {
			return ipRange{}, err
		}
		return ofNetwork(network.Masked()), nil
	}
	first, err := netip.ParseAddr(s)
	return ipRange{first, 1}, err
}

// distance counts the addresses from first to last, at most what an uint64 holds.
func distance(first, last netip.Addr) uint64 {
	a, b := first.As16(), last.As16()
	high := binary.BigEndian.Uint64(b[:8]) - binary.BigEndian.Uint64(a[:8])
	low := binary.BigEndian.Uint64(b[8:]) - binary.BigEndian.Uint64(a[8:])
	if binary.BigEndian.Uint64(b[8:]) < binary.BigEndian.Uint64(a[8:]) {
		high--
	}
	if high > 0 || low == math.MaxUint64 {
		return math.MaxUint64
	}
	return low + 1
}

func ofNetwork(network netip.Prefix) ipRange {
	host := network.Addr().BitLen() - network.Bits()
	if host >= 64 {
		return ipRange{network.Addr(), math.MaxUint64}
	}
	n := uint64(1) << host
	if network.Addr().Is4() && n > 2 {
		return ipRange{network.Addr().Next(), n - 2}
	}
	return ipRange{network.Addr(), n}
}

// Len is the number of addresses; ranges that overlap count twice.
func (p *LocalIPs) Len() uint64 { return p.total }

// At returns the address of the virtual user with this number, which counts from 1; the pool is gone through again
// and again.
func (p *LocalIPs) At(vu int64) netip.Addr {
	i := uint64(max(vu, 1)-1) % p.total
	for _, r := range p.ranges {
		if i < r.n {
			return plus(r.first, i)
		}
		i -= r.n
	}
	return p.ranges[0].first
}

// plus returns the address n after a.
func plus(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	low := binary.BigEndian.Uint64(b[8:])
	binary.BigEndian.PutUint64(b[8:], low+n)
	if low+n < low {
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+1)
	}
	if a.Is4() {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
