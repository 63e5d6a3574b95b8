package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"bayplan.dev/gitsync"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/auth"
)

// guardedServer is the API, with a hosted repository, of an operator who knows
// the app shop, which may speak for the platform's alice, and the app root,
// which is an admin. It returns their keys.
func guardedServer(t *testing.T) (url, shopKey, rootKey string) {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	shopKey, shopHash := auth.NewKey()
	rootKey, rootHash := auth.NewKey()
	apps, err := yaml.Marshal(map[string]any{"apps": []auth.App{
		{Name: "shop", KeyHashes: []string{shopHash}, PlatformUsers: []schema.User{"alice"}, Scopes: auth.Scopes{auth.Read, auth.Write, auth.Git}},
		{Name: "root", KeyHashes: []string{rootHash}, Scopes: auth.Scopes{auth.Admin}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "apps.yaml")
	if err := os.WriteFile(file, apps, 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := auth.New(auth.Options{Log: log, File: file, KeyFile: filepath.Join(dir, "key.pem"), MakeKey: true})
	if err != nil {
		t.Fatal(err)
	}
	check := newPushCheck()
	host, err := gitsync.NewHost(t.Context(), gitsync.HostOptions{Dir: dir, Check: check.check, HookCommand: []string{os.Args[0], gitHook}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Seed(t.Context(), os.DirFS("../../examples/quickstart"), "Begin"); err != nil {
		t.Fatal(err)
	}
	loader := newLoader()
	api := webhook.New(webhook.Options{
		Log: log, Hub: noHub{}, Poke: func() {}, Auth: guard, Load: loader.Load,
		Fleet: func() *schema.Fleet {
			head, err := host.Repo().Head(context.WithoutCancel(t.Context()))
			if err != nil {
				return nil
			}
			fleet, _ := loader.Load(context.WithoutCancel(t.Context()), head)
			return fleet
		},
		Git: http.HandlerFunc((&server{host: host}).serveGit),
	})
	server := httptest.NewServer(api)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = host.Run(ctx) })
	t.Cleanup(func() {
		server.Close()
		api.Close()
		cancel()
		running.Wait()
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return server.URL, shopKey, rootKey
}

func TestLogin(t *testing.T) {
	url, shopKey, rootKey := guardedServer(t)
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir()}

	if got := callBay(t, env, "", "list", "--endpoint-url", url); got.code != exitAuth {
		t.Errorf("list without a token: exit code %d, want %d\n%s", got.code, exitAuth, got.stderr)
	}
	if got := callBay(t, env, "wrong", "login", "--endpoint-url", url, "--app", "shop", "--user", "bob"); got.code != exitAuth {
		t.Errorf("login with a wrong key: exit code %d, want %d\n%s", got.code, exitAuth, got.stderr)
	}
	if got := callBay(t, env, "", "config", "get-contexts", "-o", "name").ok(t); got.stdout != "" {
		t.Errorf("a login that failed has left %q", got.stdout)
	}

	got := callBay(t, env, shopKey+"\n", "login", "--endpoint-url", url, "--app", "shop", "--user", "bob").ok(t)
	if want := "logged in to " + url + " as bob.shop (user shop-bob), kept in context default\n"; got.stdout != want {
		t.Errorf("login says %q, want %q", got.stdout, want)
	}
	if got := callBay(t, env, "", "whoami").ok(t); !strings.Contains(got.stdout, "bob.shop  shop-bob") {
		t.Errorf("whoami says %q", got.stdout)
	}
	if got := callBay(t, env, "", "list", "-o", "name").ok(t); got.stdout != "" {
		t.Errorf("bob sees %q, which isn't his", got.stdout)
	}
	// The same key speaks for a user of the platform, where the flag says so.
	if got := callBay(t, env, "", "list", "-o", "name", "--user", "alice").ok(t); got.stdout != "alice--web\n" {
		t.Errorf("alice sees %q, want alice--web", got.stdout)
	}
	if got := callBay(t, env, "", "get", "alice--web"); got.code != exitNotFound {
		t.Errorf("bob asks for alice's: exit code %d, want %d", got.code, exitNotFound)
	}

	// A second context, of an admin, who may act for others.
	callBay(t, env, rootKey, "login", "--context", "admin", "--endpoint-url", url, "--app", "root", "--user", "ops").ok(t)
	if got := callBay(t, env, "", "list", "-o", "name").ok(t); got.stdout != "alice--web\n" {
		t.Errorf("the admin sees %q, want alice--web", got.stdout)
	}
	callBay(t, env, "", "logout").ok(t)
	if got := callBay(t, env, "", "whoami"); got.code != exitAuth {
		t.Errorf("whoami after logout: exit code %d, want %d", got.code, exitAuth)
	}
	if got := callBay(t, env, "", "whoami", "--context", "default").ok(t); !strings.Contains(got.stdout, "bob.shop") {
		t.Errorf("the other context says %q", got.stdout)
	}
}

// TestGitCloneWithTheCredentialHelper lets the real git ask bay for the token.
func TestGitCloneWithTheCredentialHelper(t *testing.T) {
	url, shopKey, _ := guardedServer(t)
	home := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + home}
	callBay(t, env, shopKey, "login", "--endpoint-url", url, "--app", "shop", "--user", "bob").ok(t)
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = home
		cmd.Env = append(append(os.Environ(), cleanGit(home)...), "XDG_CONFIG_HOME="+home, runAsBay+"=1")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := git("clone", "--quiet", url+"/git/fleet.git", "without"); err == nil {
		t.Errorf("a clone without a token worked: %s", out)
	}
	helper := "credential.helper=!" + os.Args[0] + " git-credential"
	if out, err := git("-c", helper, "clone", "--quiet", url+"/git/fleet.git", "with"); err != nil {
		t.Fatalf("clone: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(home, "with", "users")); err != nil {
		t.Error(err)
	}
}
