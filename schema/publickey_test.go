package schema

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestParsePublicKey(t *testing.T) {
	key, fingerprint, err := ParsePublicKey(aliceKey + " alice@laptop  \n")
	if err != nil || key != aliceKey || !strings.HasPrefix(fingerprint, "SHA256:") {
		t.Errorf("got %q, %q, %v", key, fingerprint, err)
	}
}

// authorized is a key as a line.
func authorized(t testing.TB, key ssh.PublicKey) string {
	t.Helper()
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func rsaKey(t testing.TB, bits int) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return authorized(t, key)
}

func certificate(t testing.TB) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := c.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	return authorized(t, c)
}

func TestPublicKeysAreRefused(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":        {"", "this is not a public key"},
		"a text":         {"hello", "this is not a public key"},
		"two lines":      {aliceKey + "\n" + bobKey, "a public key is one line without control characters"},
		"NUL":            {aliceKey + "\x00", "a public key is one line without control characters"},
		"CR":             {aliceKey + "\r" + bobKey, "a public key is one line without control characters"},
		"option":         {"no-pty " + aliceKey, "options before a public key are not allowed"},
		"command":        {`command="sh" ` + aliceKey, "options before a public key are not allowed"},
		"authority":      {"cert-authority " + aliceKey, "options before a public key are not allowed"},
		"private key":    {"-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key: replace it, for everybody who reads the repository has it now"},
		"certificate":    {certificate(t), "certificates are not allowed, only keys"},
		"short RSA":      {rsaKey(t, 1024), "RSA keys must have 2048 to 8192 bits, this one has 1024"},
		"too long a RSA": {longRSA(t), "RSA keys must have 2048 to 8192 bits, this one has 8200"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			key, fingerprint, err := ParsePublicKey(test.text)
			if err == nil || err.Error() != test.want || CodeOf(err) != Invalid || key != "" || fingerprint != "" {
				t.Errorf("got %q, %q, %v, want error %q", key, fingerprint, err, test.want)
			}
		})
	}
}

// longRSA is a key of 8200 bits that nobody has the other half of.
func longRSA(t testing.TB) string {
	t.Helper()
	number := append([]byte{0x80}, make([]byte, 1024)...)
	number[len(number)-1] = 1
	blob := ssh.Marshal(struct {
		Type string
		E, N []byte
	}{"ssh-rsa", []byte{1, 0, 1}, append([]byte{0}, number...)})
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		t.Fatal(err)
	}
	return authorized(t, key)
}

func FuzzPublicKey(f *testing.F) {
	for _, seed := range []string{aliceKey, bobKey + " bob@home", "cert-authority " + aliceKey, `command="x" ` + aliceKey, "ssh-rsa AAAA", aliceKey + "\n" + bobKey, "ssh-ed25519 AAAA\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, fingerprint, err := ParsePublicKey(text)
		if err != nil {
			if CodeOf(err) != Invalid {
				t.Errorf("got error %v of code %s", err, CodeOf(err))
			}
			return
		}
		again, same, err := ParsePublicKey(key)
		if err != nil || again != key || same != fingerprint {
			t.Errorf("%q doesn't survive: %q, %q, %v", key, again, same, err)
		}
		if strings.Count(key, " ") != 1 || strings.ContainsAny(key, "\"\n\r\t\x00,") {
			t.Errorf("%q holds more than type and base64", key)
		}
	})
}
