package gateway

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// ownTerminal gives a program the terminal that is its standard input.
func ownTerminal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true, Setctty: true} }

// startAgent starts an ssh-agent and returns its socket.
func startAgent(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "agent")
	cmd := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, "the agent listens", func() bool {
		c, err := net.DialTimeout("unix", socket, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return socket
}

// listen serves connections on a port of this machine.
func listen(t *testing.T, serve func(*net.TCPConn)) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c.(*net.TCPConn))
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func echoServer(t *testing.T) int {
	t.Helper()
	return listen(t, func(c *net.TCPConn) {
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Forwarded by OpenSSH: a server that answers only after the client's last word.
func TestForwardHalfClose(t *testing.T) {
	h, p := lived(t)
	count := listen(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "%d bytes\n", n)
		_ = c.Close()
	})
	port := freePort(t)
	cmd := h.ssh(p, "-N", "-o", "ExitOnForwardFailure=yes", "-L", fmt.Sprintf("%d:localhost:%d", port, count), address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var c net.Conn
	until(t, "ssh listens", func() bool {
		var err error
		c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		return err == nil
	})
	if _, err := c.Write(make([]byte, 3<<20)); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if want := fmt.Sprintf("%d bytes\n", 3<<20); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// The other half: the server ends first, and what the client still says arrives.
func TestForwardServerEndsFirst(t *testing.T) {
	h, p := lived(t)
	heard := make(chan string, 1)
	port := listen(t, func(c *net.TCPConn) {
		fmt.Fprint(c, "bye")
		_ = c.CloseWrite()
		rest, _ := io.ReadAll(c)
		heard <- string(rest)
		_ = c.Close()
	})
	c, err := h.client(p).Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "bye" {
		t.Errorf("%q, %v", got, err)
	}
	fmt.Fprint(c, "still here")
	_ = c.Close()
	if got := <-heard; got != "still here" {
		t.Errorf("%q", got)
	}
}

func TestForwardRefused(t *testing.T) {
	h, p := lived(t)
	c := h.client(p)
	echo := echoServer(t)
	tests := []struct {
		name, address string
		reason        ssh.RejectionReason
		want          string
	}{
		{"somebody else", fmt.Sprintf("10.0.0.1:%d", echo), ssh.Prohibited, "only the container's own ports"},
		{"metadata", "169.254.169.254:80", ssh.Prohibited, "only the container's own ports"},
		{"a name", fmt.Sprintf("kubernetes.default.svc:%d", echo), ssh.Prohibited, "only the container's own ports"},
		{"nobody listens", fmt.Sprintf("localhost:%d", freePort(t)), ssh.ConnectionFailed, "nothing listens on port"},
		{"no port", "localhost:0", ssh.Prohibited, "within 1 and 65535"},
	}
	check := func(name, address string, reason ssh.RejectionReason, want string) {
		t.Helper()
		_, err := c.Dial("tcp", address)
		refused, ok := err.(*ssh.OpenChannelError) //nolint:errorlint // as it was returned
		if !ok || refused.Reason != reason || !strings.Contains(refused.Message, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, tt := range tests {
		check(tt.name, tt.address, tt.reason, tt.want)
	}
	for _, own := range []string{"localhost", "127.0.0.1", "[::1]", "LOCALHOST"} {
		if _, err := c.Dial("tcp", fmt.Sprintf("%s:%d", own, echo)); err != nil {
			t.Errorf("%s: %v", own, err)
		}
	}
	open, err := c.Dial("tcp", fmt.Sprintf("localhost:%d", echo))
	if err != nil {
		t.Fatal(err)
	}
	h.change(func() { h.container.PortForwarding = false })
	check("switched off", fmt.Sprintf("localhost:%d", echo), ssh.Prohibited, "ssh.portForwarding: true")
	if _, err := io.ReadAll(open); err != nil {
		t.Errorf("an open one ends: %v", err)
	}
	if got, err := newSession(t, c).Output("echo on"); err != nil || string(got) != "on\n" {
		t.Errorf("sessions go on: %q, %v", got, err)
	}
}
