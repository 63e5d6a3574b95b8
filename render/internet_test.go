package render

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInternetPeers(t *testing.T) {
	base4, base6 := internet[0].except, internet[1].except
	for _, tt := range []struct {
		name    string
		blocked []string
		want    map[string][]string
	}{
		{"none", nil, map[string][]string{"0.0.0.0/0": base4, "2000::/3": base6}},
		{"within another", []string{"10.1.0.0/16", "2002:1::/32"}, map[string][]string{"0.0.0.0/0": base4, "2000::/3": base6}},
		{"outside what is allowed", []string{"fd00::/8", "64:ff9b::/96"}, map[string][]string{"0.0.0.0/0": base4, "2000::/3": base6}},
		{"not masked, and twice", []string{"2a00::1/16", "2a00::/16"}, map[string][]string{"0.0.0.0/0": base4, "2000::/3": append([]string{}, append(base6[:3:3], "2a00::/16")...)}},
		{"IPv4 as IPv6", []string{"::ffff:0.0.0.0/96"}, map[string][]string{"2000::/3": base6}},
		{"all of IPv6", []string{"2000::/3"}, map[string][]string{"0.0.0.0/0": base4}},
		{"more than IPv6", []string{"::/0"}, map[string][]string{"0.0.0.0/0": base4}},
		{"half of IPv4", []string{"0.0.0.0/1"}, map[string][]string{"0.0.0.0/0": append([]string{"0.0.0.0/1"}, base4[4:]...), "2000::/3": base6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peers, err := internetPeers(tt.blocked)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, p := range peers {
				got[p.IPBlock.CIDR] = p.IPBlock.Except
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzInternetPeers holds what the API server asks for (each exception lies
// strictly within its block), and that nothing blocked can be reached.
func FuzzInternetPeers(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.2.3")
	f.Add("2a01::/16", "2a01::1")
	f.Add("::ffff:1.0.0.0/104", "1.2.3.4")
	f.Add("0.0.0.0/0", "1.1.1.1")
	f.Fuzz(func(t *testing.T, cidr, address string) {
		blocked, err := netip.ParsePrefix(cidr)
		if err != nil {
			t.Skip()
		}
		peers, err := internetPeers([]string{cidr})
		if err != nil {
			t.Fatal(err)
		}
		a, err := netip.ParseAddr(address)
		reachable := false
		for _, p := range peers {
			allowed := netip.MustParsePrefix(p.IPBlock.CIDR)
			inside := err == nil && allowed.Contains(a)
			for _, e := range p.IPBlock.Except {
				except := netip.MustParsePrefix(e)
				if except.Bits() <= allowed.Bits() || !allowed.Contains(except.Addr()) {
					t.Errorf("%s is not strictly within %s", except, allowed)
				}
				inside = inside && !except.Contains(a)
			}
			reachable = reachable || inside
		}
		if reachable && blocked.Contains(a) {
			t.Errorf("%s can be reached though %s is blocked", a, blocked)
		}
	})
}
