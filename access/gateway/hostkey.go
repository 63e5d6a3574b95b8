package gateway

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// LoadHostKeys reads the private host keys, one of each type, as ssh-keygen
// writes them without a passphrase. A file that isn't there is made, with an
// Ed25519 key: clients remember it, so it must survive restarts. Of several
// processes that make the same file, all get the key of the first.
func LoadHostKeys(files ...string) ([]ssh.Signer, error) {
	var keys []ssh.Signer
	types := map[string]string{}
	for _, file := range files {
		key, err := loadHostKey(file)
		if err != nil {
			return nil, err
		}
		kind := key.PublicKey().Type()
		if other, ok := types[kind]; ok {
			return nil, schema.Errorf(schema.Invalid, "host keys %s and %s are both of type %s: clients see one of each type", other, file, kind)
		}
		types[kind] = file
		keys = append(keys, key)
	}
	return keys, nil
}

func loadHostKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator named the file
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeHostKey(file); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(file) //nolint:gosec // as above
	}
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "read host key: %w", err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "host key %s: %w; make one with ssh-keygen -t ed25519 -N '' -f FILE", file, err)
	}
	return key, nil
}

// makeHostKey writes a new key. The file appears whole or not at all, and never
// replaces one.
func makeHostKey(file string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "bayplan")
	if err != nil {
		return fmt.Errorf("make host key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // of mode 0600
	if err != nil {
		return schema.Errorf(schema.Invalid, "make host key: %w; put a key there, or make the folder writable", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the next start doesn't mind it
	_, err = f.Write(pem.EncodeToMemory(block))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return schema.Errorf(schema.Unavailable, "write host key: %w", err)
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return schema.Errorf(schema.Invalid, "make host key: %w", err)
	}
	return nil
}
