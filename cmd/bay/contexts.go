package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
)

// access is a server and what opens it.
type access struct {
	EndpointURL string `json:"endpointURL,omitempty"`
	// AccessToken says who one is; SecretKey, that of an app, is exchanged for
	// a token that speaks for User.
	AccessToken string `json:"accessToken,omitempty"`
	SecretKey   string `json:"secretKey,omitempty"`
	App         string `json:"app,omitempty"`
	User        string `json:"user,omitempty"`
}

// redacted stands for a secret.
const redacted = "REDACTED"

// redact returns the access with its secrets hidden.
func (a access) redact() access {
	for _, secret := range []*string{&a.AccessToken, &a.SecretKey} {
		if *secret != "" {
			*secret = redacted
		}
	}
	return a
}

func (a access) hasSecret() bool { return a.AccessToken != "" || a.SecretKey != "" }

// opens says whether the secrets are meant for the endpoint: those that stand
// beside an endpoint go nowhere else.
func (a access) opens(endpoint string) bool {
	return a.EndpointURL == "" || sameEndpoint(a.EndpointURL, endpoint)
}

func sameEndpoint(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host) &&
		strings.Trim(x.Path, "/") == strings.Trim(y.Path, "/")
}

// contexts is the client's configuration: servers by name, one of them current.
type contexts struct {
	Current  string            `json:"current,omitempty"`
	Contexts map[string]access `json:"contexts,omitempty"`
}

// contextsFile is where the contexts are kept; empty when the environment
// names no home.
func (a *app) contextsFile() string {
	dir := a.getenv("XDG_CONFIG_HOME")
	if dir == "" && a.getenv("HOME") != "" {
		dir = filepath.Join(a.getenv("HOME"), ".config")
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "bayplan", "config.yaml")
}

// readContexts returns no contexts when there is no file; a field that it
// doesn't know is an error, which never quotes the file.
func (a *app) readContexts() (contexts, error) {
	c := contexts{Contexts: map[string]access{}}
	file := a.contextsFile()
	text, err := os.ReadFile(file) //nolint:gosec // the user's own configuration
	if file == "" || errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read contexts: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, &c); err != nil {
		return c, schema.Errorf(schema.Invalid, "contexts %s: %w", file, err)
	}
	if c.Contexts == nil {
		c.Contexts = map[string]access{}
	}
	return c, nil
}

// writeContexts replaces the file in one step; only its owner can read it.
func (a *app) writeContexts(c contexts) error {
	file := a.contextsFile()
	if file == "" {
		return schema.Errorf(schema.Invalid, "write contexts: neither $XDG_CONFIG_HOME nor $HOME says where to")
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	if err := replaceFile(file, text); err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	return nil
}

// replaceFile writes the whole file or leaves the old one; CreateTemp makes it 0600.
func replaceFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".config-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = cmp.Or(err, f.Sync())
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// find returns the named context.
func (c contexts) find(name string) (access, error) {
	found, ok := c.Contexts[name]
	if !ok {
		return access{}, schema.Errorf(schema.NotFound, "there is no context %q; `bay config get-contexts` lists them", name)
	}
	return found, nil
}

func (c contexts) names() []string { return slices.Sorted(maps.Keys(c.Contexts)) }
