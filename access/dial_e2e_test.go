//go:build e2e

package access

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// server is a container that listens: 8080 speaks HTTP on the loopback
// interface, 7000 echoes, 7001 counts what it gets, 7002 only talks, 7003
// answers three seconds after the end of its input.
func (a *arena) server(t *testing.T) schema.ContainerID {
	t.Helper()
	id := a.pod(t, spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c", `mkdir -p /tmp/www && echo hello >/tmp/www/index.html
httpd -p 127.0.0.1:8080 -h /tmp/www
nc -ll -p 7000 -e cat &
nc -ll -p 7001 -e sh -c 'wc -c' &
nc -ll -p 7002 -e sh -c 'head -c 10485760 /dev/zero' &
nc -ll -p 7003 -e sh -c 'cat >/tmp/got; sleep 3; cat /tmp/got' &
trap exit TERM; while :; do sleep 1; done`))
	a.eventually(t, "all ports are listened on", func() bool {
		return strings.Count(a.output(t, id, "cat /proc/net/tcp /proc/net/tcp6"), " 0A ") == 5
	})
	return id
}

func (a *arena) dial(t *testing.T, id schema.ContainerID, port int) Conn {
	t.Helper()
	c, err := a.Dial(t.Context(), id, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// asks writes a request to the connection and returns the whole answer.
func asks(t *testing.T, c Conn, request io.Reader) []byte {
	t.Helper()
	wrote := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, request)
		wrote <- errors.Join(err, c.CloseWrite())
	}()
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	if err := <-wrote; err != nil {
		t.Errorf("write: %v", err)
	}
	return answer
}

func hello(t *testing.T, c Conn) {
	t.Helper()
	if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 6))
	if err != nil || string(body) != "hello\n" {
		t.Errorf("%q, error %v; want hello", body, err)
	}
}

func TestE2EDial(t *testing.T) {
	a := newArena(t)
	id := a.server(t)
	const size = 10 << 20
	big := make([]byte, size)
	if _, err := io.ReadFull(new(noise), big); err != nil {
		t.Fatal(err)
	}
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		hello(t, a.dial(t, id, 8080))
		if got := asks(t, a.dial(t, id, 7000), bytes.NewReader(big)); !bytes.Equal(got, big) {
			t.Errorf("%d bytes come back, want the %d that were sent", len(got), size)
		}
		if got := asks(t, a.dial(t, id, 7001), bytes.NewReader(big)); string(got) != fmt.Sprintln(size) {
			t.Errorf("the container counts %q, want %d", got, size)
		}
		if got := asks(t, a.dial(t, id, 7002), strings.NewReader("")); len(got) != size {
			t.Errorf("%d bytes, want %d", len(got), size)
		}
		if got := asks(t, a.dial(t, id, 7003), strings.NewReader("ping")); string(got) != "ping" {
			t.Errorf("%q comes back after three seconds, want ping", got)
		}
		began := time.Now()
		_, err := a.Dial(t.Context(), id, 9)
		if schema.CodeOf(err) != schema.Conflict || !strings.Contains(err.Error(), "port 9") {
			t.Errorf("refused: %v, want conflict with the port", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the refusal took %v", took)
		}
	})
	for _, port := range []int{0, -1, 65536} {
		_, err := a.Dial(t.Context(), id, port)
		code(t, fmt.Sprint(port), err, schema.Invalid)
	}
	c := a.dial(t, id, 7000)
	read := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	time.Sleep(100 * time.Millisecond)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of what is closed: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to what is closed: %v", err)
	}
	a.eventually(t, "no nc is left behind", func() bool {
		return !strings.Contains(a.output(t, id, "ps"), "nc 127.0.0.1")
	})
}

// Images without a nc are reached through port-forward.
func TestE2EDialForwarded(t *testing.T) {
	a := newArena(t)
	id := a.server(t)
	bare := spec("bare", image(t, "BAYPLAN_TEST_IMAGE_NOSHELL"))
	noShell := a.pod(t, bare)
	target, err := a.find(id)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 10<<20)
	if _, err := io.ReadFull(new(noise), big); err != nil {
		t.Fatal(err)
	}
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		a.bridgeLess.add(target.UID)
		hello(t, a.dial(t, id, 8080))
		if got := asks(t, a.dial(t, id, 7000), bytes.NewReader(big)); !bytes.Equal(got, big) {
			t.Errorf("%d bytes come back, want the %d that were sent", len(got), len(big))
		}
		if got := asks(t, a.dial(t, id, 7002), strings.NewReader("")); len(got) != len(big) {
			t.Errorf("%d bytes, want %d", len(got), len(big))
		}
		if got := asks(t, a.dial(t, id, 7003), strings.NewReader("ping")); len(got) != 0 {
			t.Logf("port-forward has learnt to end one direction: %q", got)
		}
		c, err := a.Dial(t.Context(), id, 9)
		if err == nil { // it came too late to be told by Dial
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		code(t, "refused", err, schema.Conflict)

		c = a.dial(t, noShell, 8080)
		if _, err := fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if _, ok := c.(*conn); !ok {
			t.Errorf("%T, want a port-forward", c)
		}
	})
}
