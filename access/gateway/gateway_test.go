package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// house is a gateway on loopback in front of one container, alice--web, which
// is this machine.
type house struct {
	t        *testing.T
	server   *Server
	inside   *local
	registry *prometheus.Registry
	log      *lockedBuffer
	port     int
	hostKey  string // file
	stop     func()

	mu        sync.Mutex
	container Container
	absent    bool
}

// newHouse starts a gateway; change may alter it before.
func newHouse(t *testing.T, change func(*Options)) *house {
	t.Helper()
	h := &house{
		t: t, inside: &local{dir: t.TempDir()}, registry: prometheus.NewRegistry(), log: &lockedBuffer{},
		hostKey: filepath.Join(t.TempDir(), "host_key"), container: Container{PortForwarding: true},
	}
	keys, err := LoadHostKeys(h.hostKey)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Container: h.find, Access: h.inside, HostKeys: keys, Registerer: h.registry,
		Log: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if h.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	h.server.pace.look = 50 * time.Millisecond
	h.serve()
	return h
}

// serve starts the server; stop ends it.
func (h *house) serve() {
	h.t.Helper()
	l, err := new(net.ListenConfig).Listen(h.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", h.port))
	if err != nil {
		h.t.Fatal(err)
	}
	h.port = l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Serve(ctx, l) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(func() { h.stop() })
}

func (h *house) find(id schema.ContainerID) (Container, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.container, id.String() == "alice--web" && !h.absent
}

func (h *house) change(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// person is somebody with a private key in a file.
type person struct {
	file   string
	signer ssh.Signer
	key    *schema.SSHKey
}

// newPerson makes a key with ssh-keygen.
func newPerson(t *testing.T, kind ...string) person {
	t.Helper()
	if len(kind) == 0 {
		kind = []string{"ed25519"}
	}
	p := person{file: filepath.Join(t.TempDir(), "key")}
	args := append([]string{"-q", "-N", "", "-f", p.file, "-t"}, kind...)
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen (package openssh-client): %v %s", err, out)
	}
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	if p.signer, err = ssh.ParsePrivateKey(text); err != nil {
		t.Fatal(err)
	}
	line, fingerprint, err := schema.ParsePublicKey(lineOf(p.signer.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	p.key = &schema.SSHKey{User: "alice", Name: "laptop", PublicKey: line, Fingerprint: fingerprint}
	return p
}

// quickPerson makes a key without a file.
func quickPerson(t *testing.T) person {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	line := lineOf(signer.PublicKey())
	return person{signer: signer, key: &schema.SSHKey{User: "alice", Name: "laptop", PublicKey: line, Fingerprint: ssh.FingerprintSHA256(signer.PublicKey())}}
}

// let lets people in, and nobody else.
func (h *house) let(people ...person) {
	h.change(func() {
		h.container.Keys = nil
		for _, p := range people {
			h.container.Keys = append(h.container.Keys, p.key)
		}
	})
}

// options are those that OpenSSH's programs get.
func (h *house) options(p person) []string {
	h.t.Helper()
	known := h.hostKey + ".known"
	line := fmt.Sprintf("[127.0.0.1]:%d %s", h.port, lineOf(h.server.HostKeys()[0]))
	if err := os.WriteFile(known, []byte(line+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return []string{
		"-F", "none", "-i", p.file, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + known, "-o", fmt.Sprintf("Port=%d", h.port),
	}
}

const address = "alice--web@127.0.0.1"

// ssh prepares OpenSSH's ssh to the container.
func (h *house) ssh(p person, args ...string) *exec.Cmd {
	h.t.Helper()
	return exec.CommandContext(h.t.Context(), "ssh", slices.Concat(h.options(p), []string{"-o", "LogLevel=ERROR"}, args)...)
}

// said is what a program wrote and how it ended.
type said struct {
	Out, Err string
	Code     int
}

func run(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%v: %v", cmd.Args, err)
	} else if ok && exit.ExitCode() < 0 {
		t.Fatalf("%v: %v: %s", cmd.Args, err, errs.String())
	}
	return said{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// client logs in with Go's own client.
func (h *house) client(p person) *ssh.Client {
	h.t.Helper()
	c, err := h.login("alice--web", ssh.PublicKeys(p.signer))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (h *house) login(user string, methods ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", h.addr(), &ssh.ClientConfig{
		User: user, Auth: methods, HostKeyCallback: ssh.FixedHostKey(h.server.HostKeys()[0]), Timeout: 10 * time.Second,
	})
}

func (h *house) addr() string { return fmt.Sprintf("127.0.0.1:%d", h.port) }

// until waits for something that must become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines returns the lines of the log that have the text.
func (b *lockedBuffer) lines(text string) []string {
	var found []string
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func TestLoadHostKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	first, err := LoadHostKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadHostKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lineOf(again[0].PublicKey()), lineOf(first[0].PublicKey()); got != want {
		t.Errorf("the key has changed from %s to %s", want, got)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	ecdsa := newPerson(t, "ecdsa")
	if keys, err := LoadHostKeys(file, ecdsa.file); err != nil || len(keys) != 2 {
		t.Errorf("two types: %d keys, %v", len(keys), err)
	}
	if _, err := LoadHostKeys(file, file); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("one type twice: %v", err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadHostKeys(broken); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("broken: %v", err)
	}
}

// Of several processes that start at once, all must show the same key.
func TestLoadHostKeysAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	shown := make([]string, 16)
	var all sync.WaitGroup
	for i := range shown {
		all.Go(func() {
			keys, err := LoadHostKeys(file)
			if err != nil {
				t.Error(err)
				return
			}
			shown[i] = lineOf(keys[0].PublicKey())
		})
	}
	all.Wait()
	if slices.Sort(shown); shown[0] != shown[len(shown)-1] {
		t.Errorf("different keys: %v", shown)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
