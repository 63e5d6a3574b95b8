package render

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"bayplan.dev/schema"
)

// family is one half of the internet: what may be reached, and what lies
// within it and may not (RFC 6890).
type family struct {
	allowed string
	except  []string
}

// internet says what public means. IPv6 allows only 2000::/3, which leaves out
// everything that is local, and NAT64's 64:ff9b::/96, which would carry private
// IPv4 addresses.
var internet = []family{ //nolint:gochecknoglobals // a table
	{allowed: "0.0.0.0/0", except: []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	}},
	{allowed: "2000::/3", except: []string{"2001::/32", "2001:db8::/32", "2002::/16"}},
}

// internetPeers are the two halves without the platform's blocked ranges. A
// half that is blocked as a whole is left out.
func internetPeers(blocked []string) ([]networkingv1.NetworkPolicyPeer, error) {
	var closed []netip.Prefix
	for _, cidr := range blocked {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, schema.Errorf(schema.Invalid, "platform: spec.network.blockedCIDRs: %w", err)
		}
		closed = append(closed, unmap(prefix))
	}
	var peers []networkingv1.NetworkPolicyPeer
	for _, half := range internet {
		allowed := netip.MustParsePrefix(half.allowed)
		if slices.ContainsFunc(closed, func(p netip.Prefix) bool { return covers(p, allowed) }) {
			continue
		}
		except := slices.DeleteFunc(slices.Clone(closed), func(p netip.Prefix) bool { return !covers(allowed, p) })
		for _, cidr := range half.except {
			except = append(except, netip.MustParsePrefix(cidr))
		}
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: half.allowed, Except: widest(except)}})
	}
	return peers, nil
}

// widest drops prefixes within others, so that one set of addresses is one list.
func widest(prefixes []netip.Prefix) []string {
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	var kept []netip.Prefix
	for _, p := range prefixes {
		// Sorted, a wider prefix comes before those within it.
		if len(kept) == 0 || !covers(kept[len(kept)-1], p) {
			kept = append(kept, p)
		}
	}
	list := make([]string, len(kept))
	for i, p := range kept {
		list[i] = p.String()
	}
	return list
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// unmap masks, and takes an IPv4 range written as IPv6 for what it is.
func unmap(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// single is the range of one address. What isn't an address stays as it is,
// for the API server to refuse.
func single(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()).String()
}
