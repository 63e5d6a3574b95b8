package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// buggy is a container in which some things panic.
type buggy struct{ *local }

func (b buggy) Exec(ctx context.Context, id schema.ContainerID, e Exec) (Exit, error) {
	if e.Command[len(e.Command)-1] == "bug" {
		panic("in a command")
	}
	return b.local.Exec(ctx, id, e)
}

func (b buggy) Dial(ctx context.Context, id schema.ContainerID, port int) (Conn, error) {
	switch port {
	case 1:
		panic("in a dial")
	case 2:
		return buggyConn{}, nil
	}
	return b.local.Dial(ctx, id, port)
}

type buggyConn struct{ Conn }

func (buggyConn) Read([]byte) (int, error)  { panic("in a stream") }
func (buggyConn) Write([]byte) (int, error) { panic("in a stream") }
func (buggyConn) Close() error              { return nil }

func (b buggy) Files(id schema.ContainerID) Files { return buggyFiles{b.local.Files(id)} }

type buggyFiles struct{ Files }

func (buggyFiles) List(context.Context, string) ([]FileInfo, error) { panic("in a list") }

func (buggyFiles) Read(context.Context, string, int64) (io.ReadCloser, error) {
	panic("in a read")
}

func (buggyFiles) Write(context.Context, string, io.Reader, WriteOptions) error {
	panic("in a write")
}

// A bug in what one client does ends that, and nobody else's session.
func TestPanicEndsItsOwn(t *testing.T) {
	var broken atomic.Bool
	var h *house
	h = newHouse(t, func(o *Options) {
		inside, found := o.Access.(*local)
		if !found {
			t.Fatalf("%T", o.Access)
		}
		find := o.Container
		o.Access = buggy{inside}
		o.Container = func(id schema.ContainerID) (Container, bool) {
			if id.String() != "alice--bad" {
				return find(id)
			}
			if broken.Load() {
				panic("in a look")
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.container, true
		}
	})
	p := quickPerson(t)
	h.let(p)
	bystander := echo(t, h.client(p))
	same := h.client(p)
	beside := echo(t, same)
	panics := 0
	panicked := func(what string) {
		t.Helper()
		panics++
		until(t, what+" is in the log", func() bool { return len(h.log.lines("ssh panic")) >= panics })
		if last := h.log.lines("ssh panic")[panics-1]; !strings.Contains(last, what) || !strings.Contains(last, "rescue_test.go") {
			t.Errorf("%s: the log says %s", what, last)
		}
		bystander(what)
		beside(what)
	}

	s, err := same.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	s.Stderr = &errs
	exit, ok := errors.AsType[*ssh.ExitError](s.Run("bug"))
	if !ok || exit.ExitStatus() != exitGateway || !strings.Contains(errs.String(), "something is wrong with the gateway") {
		t.Errorf("%v: %s", exit, errs.String())
	}
	panicked("in a command")
	if c, err := same.Dial("tcp", "127.0.0.1:1"); err == nil {
		_ = c.Close()
		t.Error("a port is open that panics")
	}
	panicked("in a dial")
	c, err := same.Dial("tcp", "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("something is read that panics")
	}
	panicked("in a stream")
	_ = c.Close()
	until(t, "both directions have ended", func() bool { return len(h.log.lines(`"action":"forward"`)) >= 2 })
	panics = len(h.log.lines("ssh panic"))
	buggySFTP(t, same, panicked)

	bad, err := h.login("alice--bad", ssh.PublicKeys(p.signer))
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	_ = bad.Wait()
	panicked("in a look")
	if _, err := h.login("alice--bad", ssh.PublicKeys(p.signer)); err == nil {
		t.Error("a login succeeds that panics")
	}
	panicked("in a look")
}

// echo starts a session, and returns what asks whether it lives.
func echo(t *testing.T, client *ssh.Client) func(string) {
	t.Helper()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("cat"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	return func(text string) {
		t.Helper()
		if _, err := fmt.Fprintln(in, text); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); line != text+"\n" {
			t.Fatalf("after %s: %q, %v", text, line, err)
		}
	}
}

func buggySFTP(t *testing.T, client *ssh.Client, panicked func(string)) {
	t.Helper()
	files, err := sftp.NewClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.ReadDir(dir); err == nil {
		t.Error("a list comes")
	}
	panicked("in a list")
	f, err := files.Open(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read(make([]byte, 1)); err == nil {
		t.Error("something is read")
	}
	_ = f.Close()
	panicked("in a read")
	f, err = files.OpenFile(filepath.Join(dir, "other"), os.O_WRONLY|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte("x"))
	if err := f.Close(); err == nil {
		t.Error("it is written")
	}
	panicked("in a write")
	if _, err := files.Stat(dir); err != nil {
		t.Errorf("the session has ended: %v", err)
	}
}
