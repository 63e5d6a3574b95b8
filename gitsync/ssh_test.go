package gitsync

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"bayplan.dev/schema"
)

// sshServer runs git-upload-pack for whoever has the one key.
type sshServer struct {
	addr    string
	host    ssh.Signer
	client  ssh.PublicKey
	keyFile string
}

func newSigner(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func newSSHServer(t *testing.T) *sshServer {
	t.Helper()
	host, _ := newSigner(t)
	user, key := newSigner(t)
	s := &sshServer{host: host, client: user.PublicKey(), keyFile: filepath.Join(t.TempDir(), "id")}
	if err := os.WriteFile(s.keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(t.Context(), conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return s
}

func (s *sshServer) serve(ctx context.Context, conn net.Conn) {
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() == "git" && string(key.Marshal()) == string(s.client.Marshal()) {
			return nil, nil
		}
		return nil, os.ErrPermission
	}}
	config.AddHostKey(s.host)
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go s.session(ctx, channel, requests)
	}
}

func (s *sshServer) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		go func() {
			cmd := exec.CommandContext(ctx, "sh", "-c", string(r.Payload[4:]))
			cmd.Env = append(clientEnv(os.TempDir()), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
			cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
			in, err := cmd.StdinPipe()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(in, channel)
				_ = in.Close()
			}()
			code := []byte{0, 0, 0, 0}
			if err := cmd.Run(); err != nil {
				code[3] = 1
			}
			_, _ = channel.SendRequest("exit-status", false, code)
			_ = channel.Close()
		}()
	}
}

// remote is how to get in; lines are what known_hosts holds.
func (s *sshServer) remote(t *testing.T, path string, lines ...string) Remote {
	t.Helper()
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Remote{URL: "ssh://git@" + s.addr + path, KeyFile: s.keyFile, KnownHostsFile: known}
}

func (s *sshServer) line(key ssh.PublicKey) string {
	return knownhosts.Line([]string{knownhosts.Normalize(s.addr)}, key)
}

func TestHeadOverSSH(t *testing.T) {
	s := newSSHServer(t)
	path, c := bare(t)
	want := numbered(50)
	c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")
	r := open(t, Options{Remote: s.remote(t, path, s.line(s.host.PublicKey()))})
	first := head(t, r)
	if diff := cmp.Diff(want, files(t, first)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := head(t, r).Revision; got != first.Revision {
		t.Errorf("got head %s, want %s", got, first.Revision)
	}
	want["it's!"] = "quoted"
	c.commit(t, "two", want)
	c.git(t, "push", "-q", "origin", "main")
	second := head(t, r)
	if diff := cmp.Diff(want, files(t, second)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if !history(t, r, first.Revision, second.Revision).Descends {
		t.Error("the second head doesn't descend from the first")
	}
}

func TestSSHErrors(t *testing.T) {
	s := newSSHServer(t)
	path, c := bare(t)
	known := s.line(s.host.PublicKey())
	other, otherKey := newSigner(t)
	otherFile := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(otherFile, otherKey, 0o600); err != nil {
		t.Fatal(err)
	}
	fingerprint := ssh.FingerprintSHA256(s.host.PublicKey())

	_, err := open(t, Options{Remote: s.remote(t, path, known)}).Head(t.Context())
	wantCode(t, err, schema.NotFound, "has no commits on main; push one")
	c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main")

	for name, tt := range map[string]struct {
		remote Remote
		code   schema.Code
		texts  []string
	}{
		"unknown host":     {s.remote(t, path), schema.Forbidden, []string{"isn't known", fingerprint, "add this line", known}},
		"another host key": {s.remote(t, path, s.line(other.PublicKey())), schema.Forbidden, []string{"another host key", fingerprint, "in between"}},
		"no repository":    {s.remote(t, "/nonexistent", known), schema.NotFound, []string{"no such repository", "does not appear to be a git repository"}},
		"wrong branch":     {withBranch(s.remote(t, path, known), "trunk"), schema.NotFound, []string{"has no branch trunk, only main"}},
		"wrong key":        {withKey(s.remote(t, path, known), otherFile), schema.Forbidden, []string{"credentials for " + s.addr + " were refused"}},
		"no key":           {withKey(s.remote(t, path, known), "/nonexistent"), schema.Invalid, []string{"read private key"}},
		"no server":        {Remote{URL: "git@127.0.0.1:x.git", KeyFile: s.keyFile, KnownHostsFile: s.keyFile}, schema.Invalid, []string{"known hosts"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, Options{Remote: tt.remote}).Head(t.Context())
			wantCode(t, err, tt.code, tt.texts...)
		})
	}
	_, err = New(Options{Remote: Remote{URL: "git@host:x.git", KeyFile: "x"}, Dir: t.TempDir()})
	wantCode(t, err, schema.Invalid, "known_hosts")
}

func withBranch(r Remote, branch string) Remote { r.Branch = branch; return r }

func withKey(r Remote, file string) Remote { r.KeyFile = file; return r }

// A server that says nothing holds nobody up.
func TestSilentSSHServer(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		cancel()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	})
	s := &sshServer{addr: l.Addr().String()}
	_, key := newSigner(t)
	s.keyFile = filepath.Join(t.TempDir(), "id")
	write(t, s.keyFile, string(key))
	_, err = open(t, Options{Remote: s.remote(t, "/x")}).Head(ctx)
	wantCode(t, err, schema.Unavailable, "reach "+s.addr)
	_ = l.Close()
	wg.Wait()
}
