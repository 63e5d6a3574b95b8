package schema

import (
	"crypto/rsa"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Bounds of RSA keys, in bits.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// ParsePublicKey reads one line of an authorized_keys file without options. It
// returns the key as x/crypto/ssh marshals it, without its comment, and its
// SHA-256 fingerprint. The error, of code Invalid, shows nothing of the text.
func ParsePublicKey(text string) (key, fingerprint string, err error) {
	text = strings.TrimRight(text, "\n")
	if strings.Contains(text, "PRIVATE KEY") {
		return "", "", Errorf(Invalid, "this is a private key: replace it, for everybody who reads the repository has it now")
	}
	if strings.ContainsAny(text, "\x00\r\n") {
		return "", "", Errorf(Invalid, "a public key is one line without control characters")
	}
	parsed, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil:
		return "", "", Errorf(Invalid, "this is not a public key")
	case len(options) > 0:
		return "", "", Errorf(Invalid, "options before a public key are not allowed")
	case len(rest) > 0:
		return "", "", Errorf(Invalid, "only one public key is allowed")
	}
	if err := checkKeyType(parsed); err != nil {
		return "", "", err
	}
	line := strings.TrimRight(string(ssh.MarshalAuthorizedKey(parsed)), "\n")
	return line, ssh.FingerprintSHA256(parsed), nil
}

func checkKeyType(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return nil
	case ssh.KeyAlgoRSA:
		return checkRSABits(key)
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return Errorf(Invalid, "certificates are not allowed, only keys")
	}
	return Errorf(Invalid, "keys of type %s are not allowed; use ssh-ed25519", brief(key.Type()))
}

func checkRSABits(key ssh.PublicKey) error {
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return Errorf(Internal, "the RSA key has no numbers")
	}
	public, ok := crypto.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return Errorf(Internal, "the RSA key has other numbers")
	}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return Errorf(Invalid, "RSA keys must have %d to %d bits, this one has %d", minRSABits, maxRSABits, bits)
	}
	return nil
}
