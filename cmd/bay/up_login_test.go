package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

func TestUpLoginOpensTheServer(t *testing.T) {
	dir := t.TempDir()
	first, err := newUpLogin(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := newUpLogin(dir)
	if err != nil || again.key != first.key {
		t.Errorf("second start: got another key, %v", err)
	}
	guard, err := again.config.guard(slog.New(slog.DiscardHandler), &net.TCPAddr{IP: net.IPv4(0, 0, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	token, err := first.token(guard)
	if err != nil {
		t.Fatal(err)
	}
	who, err := guard.Caller(t.Context(), token)
	if err != nil || !who.May(auth.Admin) || who.User != upUser {
		t.Errorf("got %+v, %v; want an admin who speaks for %s", who, err, upUser)
	}
	for _, name := range []string{"secret-key", "auth.yaml", "auth-key.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", name, info, err)
		}
	}
	if text, err := os.ReadFile(first.config.File); err != nil || strings.Contains(string(text), first.key) {
		t.Errorf("the server's file has the key itself, %v", err)
	}
}

func TestUpLoginLeavesTheCurrentContext(t *testing.T) {
	a := &app{env: []string{"XDG_CONFIG_HOME=" + t.TempDir()}}
	l := upLogin{key: "k"}
	if hint, err := l.context(a, "http://127.0.0.1:1"); hint != "" || err != nil {
		t.Fatalf("first context: got %q, %v", hint, err)
	}
	all, err := a.readContexts()
	if err != nil || all.Current != upApp || all.Contexts[upApp].EndpointURL != "http://127.0.0.1:1" {
		t.Fatalf("got %+v, %v", all, err)
	}
	all.Current, all.Contexts["work"] = "work", access{EndpointURL: "https://bay.example.com"}
	if err := a.writeContexts(all); err != nil {
		t.Fatal(err)
	}
	if hint, err := l.context(a, "http://127.0.0.1:2"); hint != " --context local" || err != nil {
		t.Errorf("got %q, %v", hint, err)
	}
	if all, err = a.readContexts(); err != nil || all.Current != "work" || all.Contexts[upApp].EndpointURL != "http://127.0.0.1:2" {
		t.Errorf("got %+v, %v", all, err)
	}
}

func TestNobodyIsAskedOnThisMachineOnly(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if g, err := (authConfig{}).guard(log, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); g != nil || err != nil {
		t.Errorf("loopback: got %v, %v", g, err)
	}
	for _, ip := range []net.IP{net.IPv4zero, net.IPv4(192, 0, 2, 1), net.IPv6unspecified} {
		if _, err := (authConfig{}).guard(log, &net.TCPAddr{IP: ip}); schema.CodeOf(err) != schema.Invalid {
			t.Errorf("%s: got %v, want Invalid", ip, err)
		}
	}
}

func TestAppKeyFitsItsHash(t *testing.T) {
	var out strings.Builder
	if code := run(context.Background(), []string{"app-key"}, nil, nil, &out, &out); code != exitOK {
		t.Fatal(out.String())
	}
	fields := strings.Fields(out.String())
	if len(fields) != 4 || auth.HashKey(fields[1]) != fields[3] {
		t.Errorf("got %q", out.String())
	}
}
