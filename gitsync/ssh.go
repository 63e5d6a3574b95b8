package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"bayplan.dev/schema"
)

const handshakeTimeout = 20 * time.Second

// sshWire speaks Git's protocol with the service on the other side.
type sshWire struct {
	service string
	client  *ssh.Client
	session *ssh.Session
	stop    func() bool
	address address
	in      io.WriteCloser
	out     io.Reader
	said    *boundedBuffer
	left    int64
}

// dialSSH connects and logs in; the connection ends with ctx.
func dialSSH(ctx context.Context, a address, r *Remote, maxBytes int64) (*sshWire, error) {
	config, err := sshConfig(a, r)
	if err != nil {
		return nil, err
	}
	addr := a.dialAddress()
	dialer := net.Dialer{Timeout: handshakeTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "reach %s: %w", a.host, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := login(conn, addr, config)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, explainSSH(a, err)
	}
	return &sshWire{client: client, stop: stop, address: a, said: &boundedBuffer{}, left: maxBytes}, nil
}

func login(conn net.Conn, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), conn.SetDeadline(time.Time{})
}

func sshConfig(a address, r *Remote) (*ssh.ClientConfig, error) {
	pem, err := os.ReadFile(r.KeyFile)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "read private key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "private key %s can't be read: %w", r.KeyFile, err)
	}
	check, err := knownhosts.New(r.KnownHostsFile)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "read known hosts: %w", err)
	}
	return &ssh.ClientConfig{
		User:              a.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   explainHostKey(check, r.KnownHostsFile),
		HostKeyAlgorithms: knownAlgorithms(check, a.dialAddress()),
	}, nil
}

// explainHostKey turns "unknown key" into what an operator has to do.
func explainHostKey(check ssh.HostKeyCallback, file string) ssh.HostKeyCallback {
	return func(host string, addr net.Addr, key ssh.PublicKey) error {
		err := check(host, addr, key)
		unknown, ok := errors.AsType[*knownhosts.KeyError](err)
		if !ok {
			return err
		}
		fingerprint := ssh.FingerprintSHA256(key)
		if len(unknown.Want) > 0 {
			return schema.Errorf(schema.Forbidden, "%s shows another host key (%s %s) than %s has: somebody may be in between, or the host was set up anew; replace its line only when its operator confirms the fingerprint",
				host, key.Type(), fingerprint, file)
		}
		return schema.Errorf(schema.Forbidden, "host key of %s isn't known: it shows %s %s; when its operator confirms that fingerprint, add this line to %s: %s",
			host, key.Type(), fingerprint, file, knownhosts.Line([]string{knownhosts.Normalize(host)}, key))
	}
}

// knownAlgorithms asks for the kinds of key that known_hosts has: else a
// server with several keys may show one that isn't in the file.
func knownAlgorithms(check ssh.HostKeyCallback, addr string) []string {
	err := check(addr, &net.TCPAddr{}, noKey{})
	known, ok := errors.AsType[*knownhosts.KeyError](err)
	if !ok {
		return nil
	}
	var algorithms []string
	for _, want := range known.Want {
		if kind := want.Key.Type(); kind == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			algorithms = append(algorithms, kind)
		}
	}
	return algorithms
}

// noKey is a key that no file can have.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func explainSSH(a address, err error) error {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e
	}
	// x/crypto has no error value for it.
	if strings.Contains(err.Error(), "unable to authenticate") {
		return schema.Errorf(schema.Forbidden, "credentials for %s were refused: it doesn't accept the private key for user %s", a.host, a.user)
	}
	return schema.Errorf(schema.Unavailable, "reach %s: %w", a.host, err)
}

func (w *sshWire) advertise(context.Context) (io.ReadCloser, error) {
	session, err := w.client.NewSession()
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "reach %s: %w", w.address.host, err)
	}
	w.session = session
	session.Stderr = w.said
	if w.in, err = session.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = &capped{r: out, left: &w.left, from: w.address.host}
	if err := session.Start(w.service + " " + quote(w.address.path)); err != nil {
		return nil, schema.Errorf(schema.Unavailable, "%s doesn't run %s: %w", w.address.host, w.service, err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(w.out, first); err != nil {
		return nil, w.silent(err)
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(first), w.out)), nil
}

// silent explains why nothing was advertised with what the other side said.
func (w *sshWire) silent(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	_ = w.session.Wait() // all of stderr is there once the command has ended
	text := redact(strings.TrimSpace(w.said.String()))
	return schema.Errorf(schema.NotFound, "%s has no such repository, or hides it from this key: %s", w.address.host, text)
}

func (w *sshWire) request(_ context.Context, body []byte) (io.ReadCloser, error) {
	if _, err := w.in.Write(body); err != nil {
		return nil, fmt.Errorf("write to %s: %w", w.address.host, err)
	}
	return io.NopCloser(w.out), nil
}

// Close hangs up. A git that was asked for nothing ends when it is told so by
// a flush.
func (w *sshWire) Close() error {
	defer w.stop()
	if w.session != nil {
		_, _ = w.in.Write([]byte("0000"))
		_ = w.session.Close()
	}
	return w.client.Close()
}

// quote makes one word of s for the shell on the other side.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// boundedBuffer keeps the first bytes written to it. It is safe for concurrent use.
type boundedBuffer struct {
	mu sync.Mutex
	b  []byte
}

const maxSaid = 4096

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b = append(b.b, p[:min(len(p), maxSaid-len(b.b))]...)
	return len(p), nil
}

func (b *boundedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.b)
}
