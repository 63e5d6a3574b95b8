package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func dnsComponent(config machineConfig) component {
	args := []string{"--listen=" + net.JoinHostPort(config.Network.nodeIP().String(), "53")}
	if config.Egress {
		args = append(args, "--upstream="+net.JoinHostPort(egressDNS, "53"))
	}
	return component{dnsName, args}
}

// runDNS answers Pods on the node's address, to which kube-proxy sends what they ask the Service kube-dns. It may read
// what kube-proxy may.
func runDNS(args []string) error {
	flags := flag.NewFlagSet(dnsName, flag.ContinueOnError)
	listen := flags.String("listen", "", "where to answer")
	upstream := flags.String("upstream", "", "whom to ask for names outside")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client, err := nodeClient("kube-proxy.kubeconfig")
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	r := &resolver{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
		upstream: *upstream,
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	packets, err := new(net.ListenConfig).ListenPacket(ctx, "udp", *listen)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	streams, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	ended := make(chan error, 2)
	go func() { ended <- r.serveUDP(packets) }()
	go func() { ended <- r.serveTCP(streams) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	return errors.Join(err, packets.Close(), streams.Close())
}

// nodeClient reads a kubeconfig of the node's folder.
func nodeClient(file string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", nodeFolder+"/"+file)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}
