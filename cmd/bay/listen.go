package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"bayplan.dev/schema"
)

// listeners are the open ports of a server; metrics and ssh may be nil.
type listeners struct{ api, metrics, ssh net.Listener }

func listen(ctx context.Context, c config) (listeners, error) {
	var l listeners
	var open []net.Listener
	for _, port := range []struct {
		address, flag string
		to            *net.Listener
	}{
		{c.Listen, "listen", &l.api}, {c.Metrics.Listen, "metrics-listen", &l.metrics}, {c.SSH.Listen, "ssh-listen", &l.ssh},
	} {
		if port.address == "" && port.to != &l.api {
			continue
		}
		opened, err := listenOn(ctx, port.address, port.flag)
		if err != nil {
			for _, other := range open {
				err = errors.Join(err, other.Close())
			}
			return listeners{}, err
		}
		*port.to, open = opened, append(open, opened)
	}
	return l, nil
}

func listenOn(ctx context.Context, address, flag string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, schema.Errorf(schema.Conflict, "port in use: %s; end the program that listens there, or choose another address with --%s", address, flag)
	}
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "listen on %s (--%s): %w", address, flag, err)
	}
	return l, nil
}

// urlOf is where l is reached from this machine.
func urlOf(l net.Listener) string {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return "http://" + l.Addr().String()
	}
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(address.Port))
}
