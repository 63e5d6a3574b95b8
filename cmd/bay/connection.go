package main

import (
	"cmp"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

const defaultEndpoint = "http://127.0.0.1:8080"

// maxSecret bounds a token or key that is read.
const maxSecret = 64 << 10

// connection says which server a command asks, and as whom. A flag beats the
// environment, the environment beats the current context; a context that is
// named on the command line beats the environment, too.
type connection struct {
	app     *app
	flags   access
	context string
	// tokenFile and keyFile keep secrets off the command line; "-" is standard input.
	tokenFile, keyFile string
}

// connectFlags gives a command the flags of a connection. Those that it has
// already mean something else there.
func (a *app) connectFlags(cmd *cobra.Command) *connection {
	conn := &connection{app: a}
	for _, f := range []struct {
		name, usage string
		value       *string
	}{
		{"endpoint-url", "URL of the server ($BAYPLAN_ENDPOINT_URL; default " + defaultEndpoint + ")", &conn.flags.EndpointURL},
		{"access-token", "token that says who you are ($BAYPLAN_ACCESS_TOKEN)", &conn.flags.AccessToken},
		{"access-token-file", "file with the token, - for standard input", &conn.tokenFile},
		{"secret-key", "an app's key, exchanged for a token ($BAYPLAN_SECRET_KEY)", &conn.flags.SecretKey},
		{"secret-key-file", "file with the key, - for standard input", &conn.keyFile},
		{"app", "the app that the key belongs to ($BAYPLAN_APP)", &conn.flags.App},
		{"user", "the user that is meant: whom the app's key speaks for, or an admin acts for ($BAYPLAN_USER)", &conn.flags.User},
		{"context", "the context to use instead of the current one", &conn.context},
	} {
		if cmd.Flags().Lookup(f.name) == nil {
			cmd.Flags().StringVar(f.value, f.name, "", f.usage)
			_ = cmd.Flags().SetAnnotation(f.name, connectionFlag, []string{"true"}) // fails for unknown flags only
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("context", a.completeContexts) // fails for unknown flags only
	return conn
}

func (conn *connection) environment() access {
	a := conn.app
	return access{
		EndpointURL: a.getenv("BAYPLAN_ENDPOINT_URL"),
		AccessToken: a.getenv("BAYPLAN_ACCESS_TOKEN"),
		SecretKey:   a.getenv("BAYPLAN_SECRET_KEY"),
		App:         a.getenv("BAYPLAN_APP"),
		User:        a.getenv("BAYPLAN_USER"),
	}
}

// readSecrets fills in the secrets that the flags name files of.
func (conn *connection) readSecrets(cmd *cobra.Command) error {
	for _, f := range []struct {
		file, flag string
		value      *string
	}{
		{conn.tokenFile, "access-token", &conn.flags.AccessToken}, {conn.keyFile, "secret-key", &conn.flags.SecretKey},
	} {
		switch {
		case f.file == "":
			continue
		case *f.value != "":
			return usagef(cmd, "give either --%s or --%s-file", f.flag, f.flag)
		}
		var err error
		if f.file == "-" {
			*f.value, err = conn.app.stdinSecret()
		} else {
			*f.value, err = readSecret(f.file)
		}
		if err != nil {
			return err
		}
	}
	conn.tokenFile, conn.keyFile = "", ""
	if conn.flags.AccessToken != "" && conn.flags.SecretKey != "" {
		return usagef(cmd, "give either an access token or a secret key")
	}
	return nil
}

// stdinSecret reads one secret from standard input.
func (a *app) stdinSecret() (string, error) {
	text, err := io.ReadAll(io.LimitReader(a.stdin, maxSecret))
	if err != nil {
		return "", schema.Errorf(schema.Invalid, "read secret from standard input: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", schema.Errorf(schema.Invalid, "standard input holds no secret")
	}
	return secret, nil
}

// resolve is the access that flags, environment and contexts amount to.
func (conn *connection) resolve(cmd *cobra.Command) (access, error) {
	if err := conn.readSecrets(cmd); err != nil {
		return access{}, err
	}
	all, err := conn.app.readContexts()
	if err != nil {
		return access{}, err
	}
	levels := []access{conn.flags, conn.environment()}
	switch {
	case conn.context != "":
		named, err := all.find(conn.context)
		if err != nil {
			return access{}, err
		}
		levels = []access{conn.flags, named, conn.environment()}
	case all.Current != "":
		current, err := all.find(all.Current)
		if err != nil {
			return access{}, err
		}
		levels = append(levels, current)
	}
	return merge(levels), nil
}

// merge takes each field from the first level that has it. Token and key come
// from the same level, and never from one that belongs to another endpoint.
func merge(levels []access) access {
	var out access
	for _, l := range levels {
		out.EndpointURL = cmp.Or(out.EndpointURL, l.EndpointURL)
	}
	out.EndpointURL = cmp.Or(out.EndpointURL, defaultEndpoint)
	for _, l := range levels {
		if !l.opens(out.EndpointURL) {
			continue
		}
		if !out.hasSecret() {
			out.AccessToken, out.SecretKey = l.AccessToken, l.SecretKey
		}
		out.App, out.User = cmp.Or(out.App, l.App), cmp.Or(out.User, l.User)
	}
	return out
}

// client connects the command to its server.
func (conn *connection) client(cmd *cobra.Command) (*client, error) {
	to, err := conn.resolve(cmd)
	if err != nil {
		return nil, err
	}
	c, err := newClient(cmd, to)
	if err != nil {
		return nil, err
	}
	if c.bearer == nil || c.bearer.exchange == nil {
		c.actFor = conn.flags.User
	}
	return c, nil
}
