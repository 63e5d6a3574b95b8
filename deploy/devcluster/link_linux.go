package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	hostLinkPrefix = "devcluster" // and the node's number
	nodeLink       = "eth0"
	// maxNodes on one machine: each has its own 10.41.N.0/30 to the host, and 10.42.N.0/24 for its Pods.
	maxNodes = 256
)

// network is where a node is: its number says all. The service range is the same in each cluster.
type network struct{ Number int }

func (n network) hostLink() string { return fmt.Sprintf("%s%d", hostLinkPrefix, n.Number) }
func (n network) hostIP() net.IP   { return net.IPv4(10, 41, byte(n.Number), 1).To4() }
func (n network) nodeIP() net.IP   { return net.IPv4(10, 41, byte(n.Number), 2).To4() }
func (n network) podRange() *net.IPNet {
	return &net.IPNet{IP: net.IPv4(10, 42, byte(n.Number), 0).To4(), Mask: net.CIDRMask(24, 32)}
}

func linkAddress(ip net.IP) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(30, 32)}}
}

// connect lays a cable (a veth pair) from the host to the network namespace of process pid. The cable, its
// addresses and routes go with that namespace, however it ends; nothing else on the host changes.
func connect(pid int) (network, error) {
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return network{}, fmt.Errorf("node network: %w", err)
	}
	defer ns.Close() //nolint:errcheck // nothing was written
	n, err := claimLink(ns)
	if err != nil {
		return network{}, fmt.Errorf("node network: %w", err)
	}
	if err := errors.Join(n.setUpHost(), n.setUpNode(ns)); err != nil {
		return network{}, fmt.Errorf("node network: %w", err)
	}
	return n, nil
}

// claimLink takes the first number whose link and addresses are free; making the link claims it.
func claimLink(ns netns.NsHandle) (network, error) {
	for number := range maxNodes {
		n := network{number}
		if taken, err := n.taken(); err != nil {
			return network{}, err
		} else if taken {
			continue
		}
		pair := &netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: n.hostLink()},
			PeerName:      nodeLink,
			PeerNamespace: netlink.NsFd(ns),
		}
		switch err := netlink.LinkAdd(pair); {
		case err == nil:
			return n, nil
		case !errors.Is(err, fs.ErrExist):
			return network{}, fmt.Errorf("add link %s: %w", n.hostLink(), err)
		}
	}
	return network{}, fmt.Errorf("the host has routes to all of 10.41.0.0/16 or 10.42.0.0/16 (ip route), of which a node needs a part")
}

// taken is true when the host already has a way of its own into one of the ranges, other than the default route.
func (n network) taken() (bool, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("list routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		if ones, _ := route.Dst.Mask.Size(); ones == 0 {
			continue
		}
		for _, ours := range []*net.IPNet{n.podRange(), linkAddress(n.hostIP()).IPNet} {
			if route.Dst.Contains(ours.IP) || ours.Contains(route.Dst.IP) {
				return true, nil
			}
		}
	}
	return false, nil
}

func (n network) setUpHost() error {
	link, err := netlink.LinkByName(n.hostLink())
	if err != nil {
		return fmt.Errorf("find link %s: %w", n.hostLink(), err)
	}
	if err := netlink.AddrAdd(link, linkAddress(n.hostIP())); err != nil {
		return fmt.Errorf("address of %s: %w", n.hostLink(), err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", n.hostLink(), err)
	}
	pods := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: n.podRange(), Gw: n.nodeIP()}
	if err := netlink.RouteAdd(pods); err != nil {
		return fmt.Errorf("route to Pods: %w", err)
	}
	return nil
}

func (n network) setUpNode(ns netns.NsHandle) error {
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer handle.Close()
	for _, name := range []string{"lo", nodeLink} {
		link, err := handle.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find the node's %s: %w", name, err)
		}
		if name == nodeLink {
			if err := handle.AddrAdd(link, linkAddress(n.nodeIP())); err != nil {
				return fmt.Errorf("address of the node's %s: %w", name, err)
			}
		}
		if err := handle.LinkSetUp(link); err != nil {
			return fmt.Errorf("set the node's %s up: %w", name, err)
		}
	}
	return nil
}

// forwardPackets makes the network namespace that we are in route between Pods.
func forwardPackets() error {
	err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("route between Pods: %w: /proc/sys is read-only; a container needs to be privileged", err)
	}
	return err
}
