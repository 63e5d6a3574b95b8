//go:build e2e

package access

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// paused reads nothing for a while after some bytes, now and then.
type paused struct {
	sum   io.Writer
	after []int64
	pause time.Duration
	n     int64
}

func (p *paused) Write(data []byte) (int, error) {
	p.n += int64(len(data))
	if len(p.after) > 0 && p.n >= p.after[0] {
		p.after = p.after[1:]
		time.Sleep(p.pause)
	}
	return p.sum.Write(data)
}

// Somebody who reads page by page gets everything and the true end, while
// nothing is gathered on the way.
func TestE2ESlowReader(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	const size = 64 << 20
	want := sha256.New()
	if _, err := io.CopyN(want, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	a.output(t, id, "echo warm")
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sum := sha256.New()
	// The last pause is when the command has ended and its end waits to be told.
	slow := &paused{sum: sum, after: []int64{1 << 20, size - 1<<20}, pause: 15 * time.Second}
	go func() {
		time.Sleep(10 * time.Second)
		runtime.GC()
		runtime.ReadMemStats(&during)
	}()
	began := time.Now()
	exit, err := a.Exec(t.Context(), id, Exec{Command: []string{"sh", "-c", fmt.Sprintf("head -c %d /dev/zero; exit 3", size)}, Stdout: slow})
	if err != nil || exit.Code != 3 {
		t.Errorf("%+v, error %v, want exit 3", exit, err)
	}
	if fmt.Sprintf("%x", sum.Sum(nil)) != fmt.Sprintf("%x", want.Sum(nil)) {
		t.Errorf("%d bytes, want the %d that were written", slow.n, size)
	}
	if took := time.Since(began); took < 30*time.Second {
		t.Errorf("it took %v, with two pauses of 15 s", took)
	}
	if grown := int64(during.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes while nobody read", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// between is a proxy in front of the API server.
type between struct {
	address string
	// cut closes what is open.
	cut func()
	// upgrades counts the upgrades by protocol.
	spdy, webSockets atomic.Int32
}

// newBetween lets everything pass but, where it is choosy, SPDY, as many
// gateways do.
func newBetween(t *testing.T, config *rest.Config, choosy bool) *between {
	t.Helper()
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(onlyHTTP1(config))
	if err != nil {
		t.Fatal(err)
	}
	b := &between{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch upgrade := strings.ToLower(r.Header.Get("Upgrade")); {
		case strings.HasPrefix(upgrade, "spdy"):
			b.spdy.Add(1)
			if choosy {
				r.Header.Del("Connection")
				r.Header.Del("Upgrade")
			}
		case upgrade == "websocket":
			b.webSockets.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}), ReadHeaderTimeout: time.Minute}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := &connections{Listener: listener, all: make(chan net.Conn, 100)}
	go server.Serve(open)
	t.Cleanup(func() { server.Close() })
	b.address, b.cut = "http://"+listener.Addr().String(), open.cut
	return b
}

func onlyHTTP1(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	return config
}

type connections struct {
	net.Listener
	all chan net.Conn
}

func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.all <- conn
	}
	return conn, err
}

func (c *connections) cut() {
	for {
		select {
		case conn := <-c.all:
			conn.Close()
		default:
			return
		}
	}
}

// Where SPDY doesn't pass, a WebSocket is taken, and SPDY isn't tried again.
func TestE2EWebSocketWhereSPDYDoesNotPass(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	b := newBetween(t, a.config, true)
	a.Access = a.through(t, &rest.Config{Host: b.address})
	for range 3 {
		if got := a.output(t, id, "echo hello"); got != "hello" {
			t.Errorf("%q, want hello", got)
		}
	}
	if b.spdy.Load() != 1 || b.webSockets.Load() != 3 {
		t.Errorf("%d upgrades to SPDY and %d to WebSockets, want 1 and 3", b.spdy.Load(), b.webSockets.Load())
	}
	plain := newBetween(t, a.config, false)
	a.Access = a.through(t, &rest.Config{Host: plain.address})
	if got := a.output(t, id, "echo hello"); got != "hello" || plain.webSockets.Load() != 0 {
		t.Errorf("%q and %d WebSockets, want hello over SPDY", got, plain.webSockets.Load())
	}
}

// A connection that is lost is no success, and its command is ended.
func TestE2ELostConnection(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	b := newBetween(t, a.config, false)
	direct := a.Access
	for _, webSockets := range []bool{false, true} {
		a.Access = a.through(t, &rest.Config{Host: b.address})
		a.webSockets.Store(webSockets)
		r, w := io.Pipe()
		result := make(chan error, 1)
		go func() {
			// Which process it is comes on another stream, and may come behind what
			// is written at once.
			line := "sleep 1; echo ready; sleep 31415"
			exit, err := a.Exec(context.WithoutCancel(t.Context()), id, Exec{Command: []string{"sh", "-c", line}, Stdout: w})
			if err == nil {
				err = fmt.Errorf("no error, and %+v", exit)
			}
			result <- err
		}()
		if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
			t.Fatal(err)
		}
		b.cut()
		if err := <-result; schema.CodeOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "lost") {
			t.Errorf("WebSocket %v: %v, want unavailable", webSockets, err)
		}
	}
	a.Access = direct
	a.gone(t, id, "31415")
}

// Nothing is left of many commands.
func TestE2ENothingLeaks(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		round := func() {
			for range 10 {
				a.output(t, id, "echo x")
				m := a.terminal(t, id, true, "sh", "-c", "echo ready; sleep 100")
				m.shows(t, "ready")
				m.cancel()
				<-m.done
				r, err := a.Files(id).Read(t.Context(), "/bin/busybox", 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
					t.Error(err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		round()
		count := func() int { time.Sleep(time.Second); return runtime.NumGoroutine() }
		before := count()
		round()
		if after := count(); after > before+3 {
			buffer := make([]byte, 1<<20)
			t.Errorf("%d goroutines, before %d\n%s", after, before, buffer[:runtime.Stack(buffer, true)])
		}
	})
}
