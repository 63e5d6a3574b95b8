package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"bayplan.dev/examples"
	"bayplan.dev/schema"
)

func (a *app) initCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a fleet repository with one container and your SSH keys",
		Long: `Write the files of a small fleet repository: one container, the public keys of
~/.ssh, and the JSON Schemas that editors check and complete documents with. A
file that is already there is left alone.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if user == "" {
				user = userName(a.getenv("USER"))
			}
			if err := schema.User(user).Validate(); err != nil {
				return fmt.Errorf("%w; choose one with --user", err)
			}
			files, err := initialFiles(user, a.getenv("HOME"))
			if err != nil {
				return err
			}
			return a.writeNew(dirArg(args), files)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the folder below users/ that is yours (default $USER)")
	return cmd
}

// userName turns a login name into a user where only case stands in the way.
func userName(login string) string { return strings.ToLower(login) }

// schemaFolder is where editors find the schemas, by a path within the
// repository: that works without a network and without a server. The loader
// reads no folder at the top but its own.
const schemaFolder = ".bayplan/schemas"

// schemaLines tell editors which schema a document two folders below users has.
// The first is read by the YAML language server, the second by JetBrains.
func schemaLines(kind string) []byte {
	file := "../../../" + schemaFolder + "/" + kind + ".json"
	return fmt.Appendf(nil, "# yaml-language-server: $schema=%s\n# $schema: %s\n", file, file)
}

// schemaFiles are the schemas of all kinds.
func schemaFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, kind := range kinds() {
		text, err := schema.JSONSchema(kind)
		if err != nil {
			return nil, err
		}
		files[path.Join(schemaFolder, kind+".json")] = text
	}
	return files, nil
}

// initialFiles is the quickstart example with its user renamed, plus the keys
// of home and the schemas.
func initialFiles(user, home string) (map[string][]byte, error) {
	files, err := sshKeyFiles(user, home)
	if err != nil {
		return nil, err
	}
	schemas, err := schemaFiles()
	if err != nil {
		return nil, err
	}
	maps.Copy(files, schemas)
	err = fs.WalkDir(examples.Quickstart(), "users", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(examples.Quickstart(), name)
		files[strings.Replace(name, "users/alice/", "users/"+user+"/", 1)] = withSchema(text)
		return err
	})
	return files, err
}

// withSchema replaces the example's own line for editors, which leads into this
// program's source.
func withSchema(text []byte) []byte {
	if line, rest, ok := bytes.Cut(text, []byte("\n")); ok && bytes.HasPrefix(line, []byte("# yaml-language-server:")) {
		text = rest
	}
	return append(schemaLines("container"), text...)
}

// sshKeyFiles turns each public key of home into an SSHKey document.
func sshKeyFiles(user, home string) (map[string][]byte, error) {
	files := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(home, ".ssh", "*.pub"))
	if err != nil {
		return nil, fmt.Errorf("look for public keys: %w", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name) //nolint:gosec // the user's own keys
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(text)
		keyName := keyName(name)
		if err != nil || schema.ValidateName("key", keyName) != nil {
			continue
		}
		line := bytes.TrimSpace(ssh.MarshalAuthorizedKey(key))
		files[path.Join("users", user, "keys", keyName+".yaml")] = fmt.Appendf(schemaLines("sshkey"),
			"apiVersion: bayplan.dev/v1\nkind: SSHKey\nmetadata:\n  name: %s\nspec:\n  publicKey: %s\n", keyName, line)
	}
	return files, nil
}

// keyName is "id-ed25519" for ~/.ssh/id_ed25519.pub.
func keyName(file string) string {
	name := strings.TrimSuffix(filepath.Base(file), ".pub")
	return strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
}

// writeNew writes the files that aren't there yet and says which.
func (a *app) writeNew(dir string, files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		verb := "wrote"
		if err := createFile(full, files[name]); errors.Is(err, fs.ErrExist) {
			verb = "kept"
		} else if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "%-5s %s\n", verb, name); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(a.stdout, "next: edit the files, then: bay validate %s\n", dir)
	return err
}

func createFile(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the user named the folder
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
