package auth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"

	"bayplan.dev/schema"
)

const (
	pemPrivate = "PRIVATE KEY" // PKCS #8
	pemPublic  = "PUBLIC KEY"  // PKIX
)

// keyring signs tokens with one key and accepts those of several.
type keyring struct {
	signer jose.Signer
	// public are the keys that are accepted, by their RFC 7638 thumbprint.
	public map[string]ed25519.PublicKey
}

// openKeyring reads the key that signs, after making it where that is asked
// for, and the other keys that are accepted.
func openKeyring(keyFile string, create bool, others []string) (*keyring, error) {
	if create {
		if err := makeKey(keyFile); err != nil {
			return nil, err
		}
	}
	keys, err := readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	private, ok := keys[0].(ed25519.PrivateKey)
	if !ok {
		return nil, schema.Errorf(schema.Invalid, "key file %s has no private key; it must begin with one", keyFile)
	}
	ring := &keyring{public: map[string]ed25519.PublicKey{}}
	for _, file := range others {
		more, err := readKeys(file)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	for _, k := range keys {
		if _, err := ring.accept(k); err != nil {
			return nil, err
		}
	}
	id, err := ring.accept(private)
	if err != nil {
		return nil, err
	}
	ring.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		return nil, fmt.Errorf("sign with key file %s: %w", keyFile, err)
	}
	return ring, nil
}

// accept adds the public half of a key, and returns its id.
func (k *keyring) accept(key any) (string, error) {
	if private, ok := key.(ed25519.PrivateKey); ok {
		key = private.Public()
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return "", schema.Errorf(schema.Invalid, "a key is %T, must be Ed25519", key)
	}
	thumbprint, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("name a key: %w", err)
	}
	id := base64.RawURLEncoding.EncodeToString(thumbprint)
	k.public[id] = public
	return id, nil
}

// set is the public keys as others read them (RFC 7517).
func (k *keyring) set() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for id, public := range k.public {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	return set
}

// readKeys reads every key of a PEM file; it has one at least.
func readKeys(file string) ([]any, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator named the file
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "read key: %w", err)
	}
	var keys []any
	for len(text) > 0 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		key, err := parseKey(block)
		if err != nil {
			return nil, schema.Errorf(schema.Invalid, "key file %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, schema.Errorf(schema.Invalid, "key file %s holds no PEM block; make one with: openssl genpkey -algorithm ed25519", file)
	}
	return keys, nil
}

func parseKey(block *pem.Block) (any, error) {
	var key any
	var err error
	switch block.Type {
	case pemPrivate:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case pemPublic:
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	default:
		return nil, fmt.Errorf("a PEM block is %q, must be %q or %q", block.Type, pemPrivate, pemPublic)
	}
	if err != nil {
		return nil, err
	}
	switch key.(type) {
	case ed25519.PrivateKey, ed25519.PublicKey:
		return key, nil
	}
	return nil, fmt.Errorf("the key is %T, must be Ed25519", key)
}

// makeKey makes the file unless it is there. Of two that make it at once, one
// wins, and both go on with its key.
func makeKey(file string) error {
	if _, err := os.Stat(file); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	// Only a whole file may have the name: linking it there is one step.
	temp, err := os.CreateTemp(filepath.Dir(file), ".key-*") // 0600
	if err != nil {
		return schema.Errorf(schema.Invalid, "make key: %w", err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // the link stays
	err = errors.Join(pem.Encode(temp, &pem.Block{Type: pemPrivate, Bytes: der}), temp.Sync(), temp.Close())
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if err := os.Link(temp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make key: %w", err)
	}
	return nil
}
