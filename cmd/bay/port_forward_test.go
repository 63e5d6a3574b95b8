package main

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// echo is a port that answers with all that it was told, once it was told all.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				all, _ := io.ReadAll(conn)
				_, _ = conn.Write(all)
			}()
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestPortForward(t *testing.T) {
	v := newVessel(t)
	port, closed := echo(t), closedPort(t)
	out, stop := v.start(t, "port-forward", "alice--web", "0:"+port, "0:"+closed)
	led := regexp.MustCompile(`(127\.0\.0\.1:[0-9]+) leads to port ([0-9]+) of alice--web\n`)
	eventually(t, "both listen", func() bool { return len(led.FindAllString(out.String(), -1)) == 2 })
	addresses := map[string]string{}
	for _, m := range led.FindAllStringSubmatch(out.String(), -1) {
		addresses[m[2]] = m[1]
	}
	dial := func(port string) *net.TCPConn {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addresses[port])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.(*net.TCPConn)
	}
	// Two at once, and each way ends by itself.
	text := strings.Repeat("0123456789", 200_000)
	first, second := dial(port), dial(port)
	for _, conn := range []*net.TCPConn{second, first} {
		go func() {
			_, _ = io.WriteString(conn, text)
			_ = conn.CloseWrite()
		}()
		if got, err := io.ReadAll(conn); err != nil || string(got) != text {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	// Where nobody listens the connection breaks, and the others go on.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addresses[closed])
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	eventually(t, "it says why", func() bool { return strings.Contains(out.String(), "refused") })
	_ = dial(port).Close()
	eventually(t, "no connection is left", func() bool { return v.Running() == 0 })
	open := dial(port)
	eventually(t, "one is open", func() bool { return v.Running() == 1 })
	stop()
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlives the command")
	}
}

// --bind chooses where to listen.
func TestPortForwardBind(t *testing.T) {
	v := newVessel(t)
	out, stop := v.start(t, "port-forward", "alice--web", "0:"+echo(t), "--bind", "127.0.0.2")
	defer stop()
	led := regexp.MustCompile(`(127\.0\.0\.2:[0-9]+) leads to port`)
	eventually(t, "it listens", func() bool { return led.MatchString(out.String()) })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", led.FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func TestPortForwardRefuses(t *testing.T) {
	v := newVessel(t)
	for _, arg := range []string{"x", "0", "80:0", "80:x", ":80", "80:"} {
		v.call(t, exitUsage, "", "port-forward", "alice--web", arg)
	}
	v.call(t, exitUsage, "", "port-forward", "alice--web")
	v.call(t, exitNotFound, "", "port-forward", "alice--nope", "80")
	// Somebody else has the port: the server itself.
	_, taken, _ := strings.Cut(strings.TrimPrefix(v.URL, "http://"), ":")
	v.call(t, exitFailed, "", "port-forward", "alice--web", taken+":80")
}
