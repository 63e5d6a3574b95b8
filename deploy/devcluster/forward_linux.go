package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// listenAt listens in the network namespace of process pid: a socket stays where it was made.
func listenAt(ctx context.Context, pid int, address string) (net.Listener, error) {
	theirs, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, fmt.Errorf("listen in the node: %w", err)
	}
	defer theirs.Close() //nolint:errcheck // nothing was written
	type result struct {
		l   net.Listener
		err error
	}
	made := make(chan result)
	go func() {
		// The thread is never unlocked, so Go ends it with this goroutine: no other may run in that namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(theirs.Fd()), unix.CLONE_NEWNET); err != nil {
			made <- result{err: fmt.Errorf("enter the node's network: %w", err)}
			return
		}
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		made <- result{l, err}
	}()
	r := <-made
	return r.l, r.err
}

// forward answers each connection of l with one to address on the host, until l is closed.
func forward(ctx context.Context, l net.Listener, address string) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go func() {
			defer conn.Close() //nolint:errcheck // its end is all that matters
			host, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return // whoever asked sees it closed, and tries again
			}
			defer host.Close() //nolint:errcheck // its end is all that matters
			var both sync.WaitGroup
			both.Go(func() { copyHalf(conn, host) })
			both.Go(func() { copyHalf(host, conn) })
			both.Wait()
		}()
	}
}

// copyHalf passes on what one side says, and that it has ended.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
