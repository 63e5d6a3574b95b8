package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// sshServer runs git for whoever has the one key.
type sshServer struct {
	t       *testing.T
	address string
	host    ssh.Signer
	client  ssh.PublicKey
	keyFile string
	// pushes counts the pushes that were begun.
	pushes atomic.Int64
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
	client, key := newSigner(t)
	s := &sshServer{t: t, host: host, client: client.PublicKey(), keyFile: filepath.Join(t.TempDir(), "id")}
	if err := os.WriteFile(s.keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			running.Go(func() { s.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		running.Wait()
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
		_ = r.Reply(r.Type == "exec", nil)
		if r.Type != "exec" {
			continue
		}
		line := string(r.Payload[4:])
		if strings.HasPrefix(line, "git-receive-pack ") {
			s.pushes.Add(1)
		}
		go func() {
			code := []byte{0, 0, 0, 0}
			if err := runGit(ctx, line, channel, channel.Stderr()); err != nil {
				code[3] = 1
			}
			_, _ = channel.SendRequest("exit-status", false, code)
			_ = channel.Close()
		}()
	}
}

// args tell bay serve where the repository is, and how to get in.
func (s *sshServer) args(path string) []string {
	s.t.Helper()
	dir := s.t.TempDir()
	known := knownhosts.Line([]string{knownhosts.Normalize(s.address)}, s.host.PublicKey()) + "\n"
	for name, text := range map[string]string{"known_hosts": known, "config.yaml": "repository: {poll: 1s}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return []string{
		"--repository", "ssh://git@" + s.address + path, "--ssh-key-file", s.keyFile,
		"--known-hosts-file", filepath.Join(dir, "known_hosts"), "--config", filepath.Join(dir, "config.yaml"),
	}
}
