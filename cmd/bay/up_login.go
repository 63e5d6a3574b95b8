package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

const (
	// upApp is the app that bay up lets in, and the context that keeps its key.
	upApp = "local"
	// upUser is whom its tokens speak for; the quickstart is alice's.
	upUser = "alice"
	// upToken is how long its tokens are good for: a day's work.
	upToken = 24 * time.Hour
)

// upLogin is how people on this machine get in.
type upLogin struct {
	config authConfig
	key    string
}

// newUpLogin makes a key and the server's side of it at the first start.
func newUpLogin(dir string) (upLogin, error) {
	l := upLogin{config: authConfig{
		File: filepath.Join(dir, "auth.yaml"), KeyFile: filepath.Join(dir, "auth-key.pem"), MakeKey: true, TokenLifetime: duration(upToken),
	}}
	keyFile := filepath.Join(dir, "secret-key")
	switch _, err := os.Stat(l.config.File); {
	case errors.Is(err, fs.ErrNotExist):
		key, hash := auth.NewKey()
		text, err := yaml.Marshal(map[string]any{"apps": []auth.App{{
			Name: upApp, KeyHashes: []string{hash}, PlatformUsers: []schema.User{"*"}, Scopes: auth.Scopes{auth.Admin},
		}}})
		// The key goes first: a file of apps whose key is lost would let nobody in.
		if err = cmp.Or(err, replaceFile(keyFile, []byte(key+"\n")), replaceFile(l.config.File, text)); err != nil {
			return l, fmt.Errorf("make a login: %w", err)
		}
	case err != nil:
		return l, fmt.Errorf("find the login: %w", err)
	}
	key, err := readSecret(keyFile)
	l.key = key
	return l, err
}

// context keeps the login where the client's commands look, and makes it the
// current one unless another server is. It returns how to choose it then.
func (l upLogin) context(a *app, url string) (hint string, err error) {
	if a.contextsFile() == "" {
		return "", nil
	}
	all, err := a.readContexts()
	if err != nil {
		return "", err
	}
	entry := access{EndpointURL: url, App: upApp, SecretKey: l.key, User: upUser}
	if all.Current == "" {
		all.Current = upApp
	}
	if all.Current != upApp {
		hint = " --context " + upApp
	}
	if all.Contexts[upApp] == entry {
		return hint, nil
	}
	all.Contexts[upApp] = entry
	return hint, a.writeContexts(all)
}

// token is a ready one.
func (l upLogin) token(g *auth.Guard) (string, error) {
	t, err := g.Login(auth.Login{App: upApp, Key: l.key, UID: upUser})
	return t.Token, err
}

// page is the URL of the console, signed in.
func (l upLogin) page(ctx context.Context, s *server) (string, error) {
	t, err := s.guard.Login(auth.Login{App: upApp, Key: l.key, UID: upUser, Renewable: true})
	if err != nil {
		return "", err
	}
	code, err := s.api.SignIn(ctx, t.Token)
	return consoleURL(s.url(), code), err
}
