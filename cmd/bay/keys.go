package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) keysCommand() *cobra.Command {
	list := listing[webhook.SSHKey]{app: a, short: "List SSH keys", path: "/compute/ssh-keys", table: keyTable}
	return nounCommand("keys", "List, add and remove SSH keys", list.command(), a.keyAddCommand(), a.keyRemoveCommand())
}

func keyTable(value any, items []webhook.SSHKey) table {
	t := table{value: value, columns: []string{"NAME", "USER", "TYPE", "FINGERPRINT", "SOURCE"}, wide: 1}
	for _, k := range items {
		t.names = append(t.names, k.Name)
		t.rows = append(t.rows, []string{k.Name, string(k.User), k.Type, k.Fingerprint, k.Source.String()})
	}
	return t
}

func (a *app) keyAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add NAME [FILE]", Short: "Add a public key: that of a file, of standard input (-), or of ~/.ssh",
		Example: "  bay keys add laptop ~/.ssh/id_ed25519.pub",
		Args:    cobra.RangeArgs(1, 2),
	}
	flags := a.writeFlags(cmd)
	flags.one(cmd, func(args []string) (string, request, error) {
		text, err := a.publicKey(args[1:])
		if err != nil {
			return "", request{}, err
		}
		// The reason is that of the server, but a private key never leaves this machine.
		if _, _, err := schema.ParsePublicKey(text); err != nil {
			return "", request{}, schema.Errorf(schema.Invalid, "%w; give the file that ends in .pub", err)
		}
		return "key " + args[0], post("/compute/ssh-keys", webhook.NewSSHKey{Name: args[0], PublicKey: text}), nil
	})
	return cmd
}

// publicKey reads the named file, or the first of the home's usual public keys.
func (a *app) publicKey(files []string) (string, error) {
	if len(files) == 0 {
		for _, name := range []string{"id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"} {
			files = append(files, filepath.Join(a.getenv("HOME"), ".ssh", name))
		}
	}
	if files[0] == "-" {
		text, err := io.ReadAll(io.LimitReader(a.stdin, maxSecret))
		return strings.TrimSpace(string(text)), err
	}
	var err error
	for _, file := range files {
		var text []byte
		if text, err = os.ReadFile(file); err == nil { //nolint:gosec // the user's own keys
			return strings.TrimSpace(string(text)), nil
		}
	}
	return "", schema.Errorf(schema.Invalid, "read public key: %w", err)
}

func (a *app) keyRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME...", Aliases: []string{"rm", "delete"}, Short: "Remove SSH keys",
		Example: "  bay keys remove laptop",
		Args:    cobra.MinimumNArgs(1),
	}
	flags := a.writeFlags(cmd)
	yes := cmd.Flags().BoolP("yes", "y", false, "don't ask")
	cmd.ValidArgsFunction = flags.conn.complete(keyNames)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		if err := a.confirm(*yes, "Remove key "+strings.Join(args, ", ")+"?"); err != nil {
			return err
		}
		for _, name := range args {
			r := request{method: http.MethodDelete, path: pathOf("ssh-keys", name), query: url.Values{}}
			if w.client.actFor != "" {
				r.query.Set("user", w.client.actFor)
			}
			w.send("key "+name, r)
		}
		return w.end()
	}
	return cmd
}
