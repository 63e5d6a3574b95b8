package main

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

func newResolver(t *testing.T) *resolver {
	t.Helper()
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for name, address := range map[string]string{"web": "10.43.0.7", "db": corev1.ClusterIPNone} {
		err := services.Add(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       corev1.ServiceSpec{ClusterIP: address},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := slices.Add(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "db-1", Labels: map[string]string{discoveryv1.LabelServiceName: "db"}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.42.0.9"}},
			{Addresses: []string{"10.42.0.8"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)}},
			{Addresses: []string{"10.42.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &resolver{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices)}
}

func question(t *testing.T, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	packed, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestDNS(t *testing.T) {
	r := newResolver(t)
	for _, test := range []struct {
		name string
		kind dnsmessage.Type
		code dnsmessage.RCode
		want []string
	}{
		{"web.shop.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, []string{"10.43.0.7"}},
		{"WEB.Shop.svc.Cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, []string{"10.43.0.7"}},
		{"web.shop.svc.cluster.local.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, nil},
		{"db.shop.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, []string{"10.42.0.8", "10.42.0.9"}},
		{"web.other.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"example.com.shop.svc.cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
		{"cluster.local.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, nil},
		{"example.com.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, nil},
	} {
		t.Run(test.name+test.kind.String(), func(t *testing.T) {
			var message dnsmessage.Message
			if err := message.Unpack(r.answer("udp", question(t, test.name, test.kind))); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, answer := range message.Answers {
				got = append(got, net.IP(answer.Body.(*dnsmessage.AResource).A[:]).String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if message.ID != 7 || message.RCode != test.code {
				t.Errorf("id %d, code %v, want 7, %v", message.ID, message.RCode, test.code)
			}
		})
	}
}

func TestDNSForwards(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	answer := func(query []byte) []byte {
		var message dnsmessage.Message
		if err := message.Unpack(query); err != nil {
			t.Error(err)
			return nil
		}
		return reply(message.Header, message.Questions[0], dnsmessage.RCodeSuccess, []string{"192.0.2.5"})
	}
	go func() {
		buffer := make([]byte, dnsMaxUDP)
		if n, from, err := packets.ReadFrom(buffer); err == nil {
			packets.WriteTo(answer(buffer[:n]), from)
		}
	}()
	go func() {
		if conn, err := streams.Accept(); err == nil {
			query, _ := readTCP(conn)
			writeTCP(conn, answer(query))
			conn.Close()
		}
	}()

	r := newResolver(t)
	r.upstream = packets.LocalAddr().String()
	for _, network := range []string{"udp", "tcp"} {
		query := question(t, "example.com.", dnsmessage.TypeA)
		if diff := cmp.Diff(answer(query), r.answer(network, query)); diff != "" {
			t.Errorf("answer over %s (-want +got):\n%s", network, diff)
		}
	}
}

func FuzzDNS(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x04shop\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, query []byte) {
		answer := newResolver(t).answer("udp", query)
		var message dnsmessage.Message
		if answer != nil && message.Unpack(answer) != nil {
			t.Errorf("the answer to %q is no message: %q", query, answer)
		}
	})
}
