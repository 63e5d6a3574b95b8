package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
)

const (
	clusterDomain = "cluster.local"
	// dnsLife is how many seconds an answer may be kept: Services change.
	dnsLife = 5
	// dnsPatience is for the host's resolver.
	dnsPatience = 3 * time.Second
	dnsMaxUDP   = 4096
)

// resolver answers for the cluster's Services, and asks the host's resolver for all other names. It knows addresses
// (A) only: the cluster has no other network than IPv4.
type resolver struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	upstream string // host:port, or empty
}

// answer returns nil for what is no question.
func (r *resolver) answer(network string, query []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	name, isOurs := strings.CutSuffix(strings.ToLower(strings.TrimSuffix(question.Name.String(), ".")), "."+clusterDomain)
	if !isOurs {
		return r.forward(network, query, header, question)
	}
	addresses, exists := r.lookUp(name)
	code := dnsmessage.RCodeSuccess
	if !exists {
		code = dnsmessage.RCodeNameError
	}
	if question.Type != dnsmessage.TypeA {
		addresses = nil
	}
	return reply(header, question, code, addresses)
}

// lookUp finds NAME.NAMESPACE.svc; a Service without an address has those of its Pods.
func (r *resolver) lookUp(name string) (addresses []string, exists bool) {
	part := strings.Split(name, ".")
	if len(part) != 3 || part[2] != "svc" {
		return nil, false
	}
	service, err := r.services.Services(part[1]).Get(part[0])
	if err != nil || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, false
	}
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		return []string{service.Spec.ClusterIP}, true
	}
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: part[0]})
	all, _ := r.slices.EndpointSlices(part[1]).List(selector) // a lister reads memory: it cannot fail
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				addresses = append(addresses, endpoint.Addresses...)
			}
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), true
}

func reply(header dnsmessage.Header, question dnsmessage.Question, code dnsmessage.RCode, addresses []string) []byte {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RCode: code,
			RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
	}
	for _, address := range addresses {
		ip := net.ParseIP(address).To4()
		if ip == nil {
			continue
		}
		message.Answers = append(message.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: dnsLife},
			Body:   &dnsmessage.AResource{A: [4]byte(ip)},
		})
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// forward passes the question on as it is.
func (r *resolver) forward(network string, query []byte, header dnsmessage.Header, question dnsmessage.Question) []byte {
	failure := reply(header, question, dnsmessage.RCodeServerFailure, nil)
	if r.upstream == "" {
		return failure
	}
	conn, err := (&net.Dialer{Timeout: dnsPatience}).Dial(network, r.upstream)
	if err != nil {
		return failure
	}
	defer conn.Close() //nolint:errcheck // the answer is all that matters
	if err := conn.SetDeadline(time.Now().Add(dnsPatience)); err != nil {
		return failure
	}
	var got []byte
	if network == "tcp" {
		got, err = exchangeTCP(conn, query)
	} else {
		got, err = exchangeUDP(conn, query)
	}
	if err != nil {
		return failure
	}
	return got
}

func exchangeUDP(conn net.Conn, query []byte) ([]byte, error) {
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buffer := make([]byte, dnsMaxUDP)
	n, err := conn.Read(buffer)
	return buffer[:n], err
}

func exchangeTCP(conn net.Conn, query []byte) ([]byte, error) {
	if err := writeTCP(conn, query); err != nil {
		return nil, err
	}
	return readTCP(conn)
}

// serveUDP answers until the socket is closed; each question has its own goroutine for at most dnsPatience.
func (r *resolver) serveUDP(conn net.PacketConn) error {
	for {
		buffer := make([]byte, dnsMaxUDP)
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read question: %w", err)
		}
		go func() {
			if answer := r.answer("udp", buffer[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from) // whoever asked asks again
			}
		}()
	}
}

// serveTCP answers until the listener is closed.
func (r *resolver) serveTCP(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept question: %w", err)
		}
		go func() {
			defer conn.Close() //nolint:errcheck // whoever asked has the answer, or asks again
			for conn.SetDeadline(time.Now().Add(2*dnsPatience)) == nil {
				query, err := readTCP(conn)
				if err != nil {
					return
				}
				answer := r.answer("tcp", query)
				if answer == nil || writeTCP(conn, answer) != nil {
					return
				}
			}
		}()
	}
}

// Over TCP a message has its length in front (RFC 1035, section 4.2.2).
func readTCP(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeTCP(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}
