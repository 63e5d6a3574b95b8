package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"bayplan.dev/schema"
)

// listeners are the open ports of a server; metrics is nil when there are none.
type listeners struct{ api, metrics net.Listener }

func listen(ctx context.Context, c config) (listeners, error) {
	api, err := listenOn(ctx, c.Listen, "listen")
	if err != nil || c.Metrics.Listen == "" {
		return listeners{api: api}, err
	}
	metrics, err := listenOn(ctx, c.Metrics.Listen, "metrics-listen")
	if err != nil {
		return listeners{}, errors.Join(err, api.Close())
	}
	return listeners{api, metrics}, nil
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
