package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// halfOpen connects, says who it is, and nothing more. The socket is a bare
// one, which takes no memory of this process.
func halfOpen(t *testing.T, h *house) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: h.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("SSH-2.0-waits\r\n")); err != nil {
		t.Fatal(err)
	}
	return fd
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// A thousand who begin and don't go on take a bounded place, and nobody with a
// key waits for them, not even at the same address.
func TestHalfOpenHandshakes(t *testing.T) {
	h, p := newHouse(t, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) }), newPerson(t)
	h.let(p)
	before, idle := memory(), runtime.NumGoroutine()
	open := make([]int, 0, 6000)
	defer func() {
		for _, fd := range open {
			_ = unix.Close(fd)
		}
	}()
	var after [6]uint64
	limit := float64(h.server.options.Limits.Strangers)
	for round := range after {
		for range 1000 {
			open = append(open, halfOpen(t, h))
		}
		begun := time.Now()
		if got := run(t, h.ssh(p, address, "echo in")); got.Out != "in\n" {
			t.Errorf("%+v", got)
		}
		t.Logf("round %d: login in %s", round, time.Since(begun).Round(time.Millisecond))
		until(t, "the rest is sent away", func() bool { return testutil.ToFloat64(h.server.metrics.connections) <= limit })
		after[round] = memory()
	}
	t.Logf("memory %d before, then %d bytes", before, after)
	if grown := int64(after[len(after)-1]) - int64(after[0]); grown > 2<<20 {
		t.Errorf("grows by %d bytes", grown)
	}
	h.stop()
	until(t, "everything has ended", func() bool { return runtime.NumGoroutine() <= idle })
}

func TestLoginTime(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.LoginTime = 200 * time.Millisecond })
	for _, first := range []string{"", "SSH-2.0-waits\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 4096)} {
		c, err := net.Dial("tcp", h.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, first)
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.20q may stay", first)
		}
	}
}

// The oldest of the address with most strangers goes, not somebody else.
func TestWhoHasToGo(t *testing.T) {
	w := newCrowd(Limits{Strangers: 3, Connections: 2, PerAddress: 1})
	enter := func(address string) (*visit, *fakeConn) {
		c := &fakeConn{address: address}
		return w.enter(c), c
	}
	alone, aloneConn := enter("192.0.2.1:1")
	_, first := enter("198.51.100.7:1")
	_, second := enter("198.51.100.7:2")
	_, third := enter("198.51.100.7:3")
	if !first.closed || second.closed || third.closed || aloneConn.closed {
		t.Errorf("closed: first %v, second %v, third %v, alone %v", first.closed, second.closed, third.closed, aloneConn.closed)
	}
	if err := w.admit(alone); err != nil {
		t.Error(err)
	}
	again, _ := enter("192.0.2.1:2")
	if err := w.admit(again); err == nil {
		t.Error("an address may have any number of connections")
	}
	v6, _ := enter("[2001:db8:1:2::1]:1")
	if err := w.admit(v6); err != nil {
		t.Error(err)
	}
	w.leave(alone)
	neighbour, _ := enter("[2001:db8:1:2:ffff::9]:1")
	if err := w.admit(neighbour); err == nil {
		t.Error("a network of IPv6 has more than one address")
	}
	w.leave(v6)
	if err := w.admit(neighbour); err != nil {
		t.Error(err)
	}
	w.leave(neighbour)
	w.leave(neighbour)
	if w.joined != 0 || len(w.members) != 0 {
		t.Errorf("%d members left: %v", w.joined, w.members)
	}
}

type fakeConn struct {
	net.Conn
	address string
	closed  bool
}

func (c *fakeConn) RemoteAddr() net.Addr { return fakeAddr(c.address) }
func (c *fakeConn) Close() error         { c.closed = true; return nil }

type fakeAddr string

func (fakeAddr) Network() string  { return "tcp" }
func (a fakeAddr) String() string { return string(a) }

// Who is right but one too many is told so; a stranger learns nothing.
func TestTooManyConnections(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.PerAddress = 1 })
	p := newPerson(t)
	h.let(p)
	c := h.client(p)
	got := run(t, talkative(h.ssh(p, address, "echo in")))
	if got.Code != 255 || !strings.Contains(got.Err, "all 1 connections of your address are taken") {
		t.Errorf("%+v", got)
	}
	if got := run(t, talkative(h.ssh(newPerson(t), address, "echo in"))); strings.Contains(got.Err, "taken") {
		t.Errorf("a stranger: %+v", got)
	}
	_ = c.Close()
	until(t, "there is room again", func() bool { return run(t, h.ssh(p, address, "echo in")).Out == "in\n" })
}

// talkative has ssh show what servers say before the login, as it does by default.
func talkative(cmd *exec.Cmd) *exec.Cmd {
	cmd.Args[slices.Index(cmd.Args, "LogLevel=ERROR")] = "LogLevel=INFO"
	return cmd
}

func TestTooManyChannels(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.Channels = 2 })
	p := quickPerson(t)
	h.let(p)
	c := h.client(p)
	first, second := newSession(t, c), newSession(t, c)
	_, err := c.NewSession()
	if refused, ok := err.(*ssh.OpenChannelError); !ok || refused.Reason != ssh.ResourceShortage { //nolint:errorlint // as it was returned
		t.Errorf("a third: %v", err)
	}
	_ = first.Close()
	until(t, "there is room again", func() bool {
		s, err := c.NewSession()
		if err == nil {
			_ = s.Close()
		}
		return err == nil
	})
	if got, err := second.Output("echo on"); err != nil || string(got) != "on\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// A user's channels are counted over all connections.
func TestTooManyChannelsOfAUser(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Limits.PerUser = 3 })
	p := quickPerson(t)
	h.let(p)
	var open []*ssh.Session
	for range 3 {
		open = append(open, newSession(t, h.client(p)))
	}
	c := h.client(p)
	_, err := c.NewSession()
	if refused, ok := err.(*ssh.OpenChannelError); !ok || refused.Reason != ssh.ResourceShortage { //nolint:errorlint // as it was returned
		t.Errorf("one more: %v", err)
	}
	for _, s := range open {
		_ = s.Close()
	}
	until(t, "there is room again", func() bool {
		s, err := c.NewSession()
		if err == nil {
			_ = s.Close()
		}
		return err == nil
	})
}

// Ten thousand channels and requests that are refused leave nothing behind.
func TestRefusedChannelsLeaveNothing(t *testing.T) {
	h := newHouse(t, nil)
	p := quickPerson(t)
	h.let(p)
	c := h.client(p)
	burst := func() {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1250 {
					if _, _, err := c.OpenChannel("x11", make([]byte, 1000)); err == nil {
						t.Error("opened")
					}
					_, _, _ = c.SendRequest("tcpip-forward", false, make([]byte, 1000))
				}
			})
		}
		all.Wait()
	}
	burst()
	before, goroutines := memory(), runtime.NumGoroutine()
	burst()
	if after := memory(); int64(after)-int64(before) > 4<<20 {
		t.Errorf("memory grows from %d to %d", before, after)
	}
	until(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines+8 })
	if got, err := newSession(t, c).Output("echo on"); err != nil || string(got) != "on\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// A client that is gone without a word is noticed; one that answers stays.
func TestSilentClient(t *testing.T) {
	h := newHouse(t, nil)
	h.server.pace.ping, h.server.pace.silence = 50*time.Millisecond, 300*time.Millisecond
	p := newPerson(t)
	h.let(p)
	stays := h.client(p)
	cmd := h.ssh(p, "-n", address, "echo on; sleep 600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "kill", "-STOP", fmt.Sprint(cmd.Process.Pid)).Run(); err != nil {
		t.Fatal(err)
	}
	until(t, "its command has ended", func() bool { return h.inside.count(0) == 0 })
	if got, err := newSession(t, stays).Output("echo on"); err != nil || string(got) != "on\n" {
		t.Errorf("%q, %v", got, err)
	}
	// OpenSSH's own sign of life is answered.
	alive := run(t, h.ssh(p, "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1", address, "sleep 3; echo on"))
	if alive.Out != "on\n" {
		t.Errorf("%+v", alive)
	}
}

// The end of the server: sessions are told, may finish what takes a moment, and end.
func TestGoodbye(t *testing.T) {
	h, p := lived(t)
	h.server.pace.goodbye = 2 * time.Second
	idle := h.client(p)
	start := func(command string) (*exec.Cmd, *bufio.Reader, *lockedBuffer) {
		cmd := h.ssh(p, "-n", address, command)
		var errs lockedBuffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(out)
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		return cmd, r, &errs
	}
	short, shortOut, _ := start("echo on; sleep 0.5; echo finished")
	long, _, longErr := start("echo on; sleep 600")
	defer unix.Close(halfOpen(t, h))
	h.stop()
	if got, err := shortOut.ReadString('\n'); got != "finished\n" {
		t.Errorf("%q, %v", got, err)
	}
	if err := short.Wait(); err != nil {
		t.Error(err)
	}
	_ = long.Wait()
	if got := long.ProcessState.ExitCode(); got != 255 || !strings.Contains(longErr.String(), "the server is going down") {
		t.Errorf("status %d, %q", got, longErr.String())
	}
	if err := idle.Wait(); err == nil {
		t.Error("an idle connection is open")
	}
	if got := h.inside.count(0); got != 0 {
		t.Errorf("%d commands go on", got)
	}
	if _, err := net.Dial("tcp", h.addr()); err == nil {
		t.Error("somebody listens")
	}
}
