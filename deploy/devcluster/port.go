package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	defaultPort = 6443
	// keepPort asks for the port of the last start, or else the default.
	keepPort = -1
	// Free ports are looked for below the range that the system gives to outgoing connections:
	// one of these would otherwise take the port while the API server restarts.
	freePortMin, freePortMax = 20000, 32000
)

// The files that remember ports.
const (
	portFile         = "port"
	registryPortFile = "registry-port"
)

// choosePort finds a port and remembers it in a file: kubeconfigs and the names of images stay valid from start to
// start. want is a port, 0 (any free one) or keepPort.
func (d dataDir) choosePort(ctx context.Context, file string, want int) (int, error) {
	kept, err := d.keptPort(file)
	if err != nil {
		return 0, err
	}
	port := want
	switch {
	case want <= 0 && kept != 0:
		port = kept
	case want == keepPort:
		port = defaultPort
	case want == 0:
		port, err = freePort(ctx)
		if err != nil {
			return 0, err
		}
	}
	if err := awaitFree(ctx, port); err != nil {
		return 0, err
	}
	return port, d.writeFile(file, []byte(strconv.Itoa(port)+"\n"))
}

func (d dataDir) keptPort(file string) (int, error) {
	data, err := d.readFile(file)
	if err != nil || data == nil {
		return 0, err
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", d.path(file), err)
	}
	return port, nil
}

func freePort(ctx context.Context) (int, error) {
	for range 100 {
		port := freePortMin + rand.IntN(freePortMax-freePortMin) //nolint:gosec // any port will do
		if tryPort(ctx, port) == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: choose one with --port", freePortMin, freePortMax)
}

// awaitFree gives the children of a killed devcluster a moment to let go of their port.
func awaitFree(ctx context.Context, port int) error {
	var err error
	for range 10 {
		if err = tryPort(ctx, port); err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is in use: stop what listens on 127.0.0.1:%d, or choose another with --port (in a new data directory, --port 0 takes a free one)", port, port)
	}
	return err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func tryPort(ctx context.Context, port int) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(port))
	if err != nil {
		return err
	}
	return l.Close()
}
