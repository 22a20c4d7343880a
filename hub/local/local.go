// Package local tells the addresses that lead to the hub's own machine or its link from all others. Services listen there that take whoever reaches them for a friend, such as a
// cloud's metadata, which gives the machine's credentials away; so where others say what the hub is to dial, as in sources and notifications, these are refused.
package local

import (
	"fmt"
	"net/netip"
	"slices"
)

// metadata are addresses of clouds' metadata services that are not of the link: of Amazon EC2 by IPv6, and of Alibaba Cloud.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200")}

// Address tells whether ADDRESS:PORT is local, and returns the address without its port. It is to be asked when the address is dialled ([net.Dialer].Control), and not when a name is
// looked up: the name can mean another one by then. The error is of what is no address, as a name.
func Address(address string) (ip netip.Addr, local bool, err error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Addr{}, false, fmt.Errorf("dial %s: %w", address, err)
	}
	ip = to.Addr().Unmap()
	return ip, !ip.IsGlobalUnicast() || slices.Contains(metadata, ip), nil
}
