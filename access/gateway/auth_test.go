package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

func TestEveryKindOfKey(t *testing.T) {
	h := newHouse(t, nil)
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "384"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}} {
		p := newPerson(t, kind...)
		h.let(p)
		if got := run(t, h.ssh(p, address, "echo in")); got.Out != "in\n" {
			t.Errorf("%v: %+v", kind, got)
		}
	}
}

// A client offers keys until one fits; six are what people have.
func TestKeysOfferedInTurn(t *testing.T) {
	h := newHouse(t, nil)
	right := newPerson(t)
	h.let(right)
	for _, wrong := range []int{1, 5} {
		p := newPerson(t)
		var more []string
		for range wrong - 1 {
			more = append(more, "-i", newPerson(t).file)
		}
		more = append(more, "-i", right.file)
		if got := run(t, h.ssh(p, append(more, address, "echo in")...)); got.Out != "in\n" {
			t.Errorf("%d wrong keys first: %+v", wrong, got)
		}
	}
	many := make([]ssh.Signer, maxKeys+1)
	for i := range many {
		many[i] = quickPerson(t).signer
	}
	if _, err := h.login("alice--web", ssh.PublicKeys(append(many, right.signer)...)); err == nil {
		t.Errorf("any number of keys may be offered")
	}
}

// A login counts for the key that was proved, not for one that was only offered.
func TestOfferedIsNotProved(t *testing.T) {
	h := newHouse(t, nil)
	owner, thief := quickPerson(t), quickPerson(t)
	h.let(owner)
	// The thief shows the owner's public key and signs with another.
	if _, err := h.login("alice--web", ssh.PublicKeys(forger{owner.signer.PublicKey(), thief.signer})); err == nil {
		t.Error("a forged signature is accepted")
	}
	if _, err := h.login("alice--web", ssh.PublicKeys(thief.signer)); err == nil {
		t.Error("a wrong key is accepted")
	}
	h.let(owner, thief)
	thief.key.Name = "other"
	_, err := newSession(t, h.client(thief)).Output(":")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the record", func() bool { return len(h.log.lines("session ended")) == 1 })
	if got := h.log.lines("session ended")[0]; !strings.Contains(got, thief.key.Fingerprint) {
		t.Errorf("recorded for somebody else: %s", got)
	}
}

type forger struct {
	shown ssh.PublicKey
	ssh.Signer
}

func (f forger) PublicKey() ssh.PublicKey { return f.shown }

// Nobody learns from the answer whether a container is there.
func TestRefusedAlike(t *testing.T) {
	h := newHouse(t, nil)
	owner, stranger := newPerson(t), newPerson(t)
	h.let(owner)
	answer := func(user string) said {
		got := run(t, h.ssh(stranger, user+"@127.0.0.1", "echo in"))
		got.Err = strings.ReplaceAll(got.Err, user, "USER")
		return got
	}
	want := said{Err: "USER@127.0.0.1: Permission denied (publickey).\r\n", Code: 255}
	for _, user := range []string{"alice--web", "alice--none", "bob--web--api", "root", "alice--web--web", strings.Repeat("x", 300)} {
		if diff := cmp.Diff(want, answer(user)); diff != "" {
			t.Errorf("%.20s: -want +got\n%s", user, diff)
		}
	}
	h.change(func() { h.absent = true })
	if diff := cmp.Diff(want, run(t, h.ssh(owner, address)), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Err" }, cmp.Ignore())); diff != "" {
		t.Errorf("SSH is off: -want +got\n%s", diff)
	}
	if got := len(h.log.lines(`"level":"INFO"`)); got > 0 {
		t.Errorf("strangers can fill the log: %d lines", got)
	}
}

func TestOtherWaysIn(t *testing.T) {
	h := newHouse(t, nil)
	p := quickPerson(t)
	h.let(p)
	asked := false
	methods := map[string]ssh.AuthMethod{
		"password":    ssh.PasswordCallback(func() (string, error) { asked = true; return "", nil }),
		"keyboard":    ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { asked = true; return nil, nil }),
		"certificate": ssh.PublicKeys(certify(t, p.signer)),
	}
	for name, m := range methods {
		if _, err := h.login("alice--web", m); err == nil || asked {
			t.Errorf("%s: %v, asked %v", name, err, asked)
		}
	}
	if _, err := h.login("alice--web"); err == nil {
		t.Error("nothing at all is accepted")
	}
}

// certify makes a certificate for a key, signed by the key itself.
func certify(t *testing.T, s ssh.Signer) ssh.Signer {
	t.Helper()
	cert := &ssh.Certificate{
		Key: s.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice--web"}, ValidBefore: ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(strings.NewReader(strings.Repeat("random", 100)), s); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, s)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Keys of security devices are compared like any other.
func TestSecurityKey(t *testing.T) {
	h := newHouse(t, nil)
	line := "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJiT+C/VLMWholFZ4xhOyJr0nSLZSFRIM3I07wUNTRPaAAAABHNzaDo="
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	canonical, fingerprint, err := schema.ParsePublicKey(line)
	if err != nil {
		t.Fatal(err)
	}
	h.let(person{key: &schema.SSHKey{PublicKey: canonical, Fingerprint: fingerprint}})
	p, err := h.server.permit(meta("alice--web"), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Extensions) != 2 || p.Extensions[permitKey] != canonical {
		t.Errorf("touching it is waived, or another key is meant: %v", p.Extensions)
	}
}

type meta string

func (m meta) User() string        { return string(m) }
func (meta) SessionID() []byte     { return nil }
func (meta) ClientVersion() []byte { return nil }
func (meta) ServerVersion() []byte { return nil }
func (meta) RemoteAddr() net.Addr  { return nil }
func (meta) LocalAddr() net.Addr   { return nil }

// A key that is gone fails at the next login and ends what is open within seconds.
func TestRevoked(t *testing.T) {
	h := newHouse(t, nil)
	p, stays := newPerson(t), newPerson(t)
	tests := map[string]func(){
		"key removed":       func() { h.container.Keys = h.container.Keys[1:] },
		"SSH off":           func() { h.absent = true },
		"container removed": func() { h.absent = true; h.container = Container{} },
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			h.change(func() { h.absent = false })
			h.let(p, stays)
			cmd := h.ssh(p, address, "echo on; sleep 600")
			var errs lockedBuffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
				t.Fatal(err)
			}
			forward := run(t, h.ssh(stays, address, "echo still"))
			if forward.Out != "still\n" {
				t.Errorf("%+v", forward)
			}
			h.change(lose)
			lost := time.Now()
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != 255 || time.Since(lost) > 5*time.Second {
				t.Errorf("status %d after %s", got, time.Since(lost))
			}
			if !strings.Contains(errs.String(), "bayplan: this key may no longer log in to container alice--web") {
				t.Errorf("not told: %q", errs.String())
			}
			until(t, "the command has ended", func() bool { return h.inside.count(0) == 0 })
			if got := run(t, h.ssh(p, address, "echo in")); got.Code != 255 || got.Out != "" {
				t.Errorf("the next login: %+v", got)
			}
		})
	}
}

// Clients remember the host key: it is the same after a restart.
func TestHostKeyStays(t *testing.T) {
	h, p := lived(t)
	first := run(t, h.ssh(p, address, "echo in"))
	known, err := os.ReadFile(h.hostKey + ".known")
	if err != nil {
		t.Fatal(err)
	}
	h.stop()
	keys, err := LoadHostKeys(h.hostKey)
	if err != nil {
		t.Fatal(err)
	}
	o := h.server.options
	o.HostKeys, o.Registerer = keys, nil
	if h.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	h.serve()
	cmd := h.ssh(p, address, "echo in")
	if err := os.WriteFile(h.hostKey+".known", known, 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, run(t, cmd)); diff != "" || first.Out != "in\n" {
		t.Errorf("%+v: -want +got\n%s", first, diff)
	}
}

// One record a session: who, where, what, how much; nothing of what was typed.
func TestRecord(t *testing.T) {
	h, p := lived(t)
	cmd := h.ssh(p, address, "cat; echo password=geheim >&2; exit 3")
	cmd.Stdin = strings.NewReader("12345")
	run(t, cmd)
	run(t, h.ssh(p, address, "PASSWORD=geheim true"))
	c, err := h.client(p).Dial("tcp", fmt.Sprintf("localhost:%d", echoServer(t)))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "1234")
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	until(t, "three records", func() bool { return len(h.log.lines("session ended")) == 3 })
	if strings.Contains(h.log.String(), "geheim") || strings.Contains(h.log.String(), "PASSWORD") {
		t.Errorf("a secret is in the log:\n%s", h.log)
	}
	var got []map[string]any
	for _, line := range h.log.lines("session ended") {
		record := map[string]any{}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		for _, varies := range []string{"time", "duration", "remote"} {
			if record[varies] == nil {
				t.Errorf("%s is missing: %s", varies, line)
			}
			delete(record, varies)
		}
		got = append(got, record)
	}
	record := func(more map[string]any) map[string]any {
		r := map[string]any{
			"level": "INFO", "msg": "ssh session ended", "user": "alice", "container": "alice--web",
			"key": "laptop", "fingerprint": p.key.Fingerprint,
		}
		maps.Copy(r, more)
		return r
	}
	want := []map[string]any{
		record(map[string]any{"action": "exec", "detail": "cat", "received": 5., "sent": 21., "exit": 3.}),
		record(map[string]any{"action": "exec", "received": 0., "sent": 0., "exit": 0.}),
		record(map[string]any{"action": "forward", "received": 4., "sent": 4.}),
	}
	want[2]["detail"] = got[2]["detail"]
	want[0]["detail"] = "cat"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
