package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/access/gateway"
	"bayplan.dev/schema"
)

const (
	laptopKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPZ2mJ0VtY1uKq9r8m3x5d7fQ2s4b6n8v0c2e4g6i8kA"
	phoneKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7q2sT1m0w9xk3vYb5c4dZ8e6fGh2iLj0KnMpOqRsTu"
)

// Who may log in is what the fleet says now, and nobody where that can't be read.
func TestWhoMayLogIn(t *testing.T) {
	key := func(name, key string) string {
		return "apiVersion: bayplan.dev/v1\nkind: SSHKey\nmetadata: {name: " + name + "}\nspec: {publicKey: " + key + "}\n"
	}
	container := func(name, ssh string) string {
		return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: " + name + "}\nspec:\n  image: registry.example.com/a:1\n" + ssh
	}
	files := map[string]string{
		"users/alice/keys/laptop.yaml":  key("laptop", laptopKey),
		"users/alice/keys/phone.yaml":   key("phone", phoneKey),
		"users/bob/keys/laptop.yaml":    key("laptop", laptopKey),
		"users/alice/web/web.yaml":      container("web", "  ssh: {enabled: true}\n"),
		"users/alice/shop/api.yaml":     container("api", "  ssh: {enabled: true, keys: [phone], portForwarding: true}\n"),
		"users/alice/shop/off.yaml":     container("off", "  ssh: {enabled: false}\n"),
		"users/alice/shop/none.yaml":    container("none", ""),
		"users/alice/broken/wrong.yaml": container("wrong", "  ssh: {enabled: true, keys: laptop}\n"),
		"users/alice/broken/right.yaml": container("right", "  ssh: {enabled: true, keys: [laptop]}\n"),
		"users/bob/web/web.yaml":        container("web", "  ssh: {enabled: true}\n"),
	}
	var fleet *schema.Fleet
	g := sshGateway{fleet: func() *schema.Fleet { return fleet }}
	follow := func() {
		t.Helper()
		tree := fstest.MapFS{}
		for name, text := range files {
			tree[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		}
		snapshot, err := schema.FromFS(tree)
		if err != nil {
			t.Fatal(err)
		}
		if fleet, err = schema.NewLoader().Load(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
	}
	look := func(want map[string][]string) {
		t.Helper()
		for text, keys := range want {
			id, err := schema.ParseContainerID(text)
			if err != nil {
				t.Fatal(err)
			}
			c, found := g.container(id)
			var got []string
			for _, k := range c.Keys {
				got = append(got, string(k.User)+"/"+k.Name)
			}
			if found != (keys != nil) || !cmp.Equal(got, keys) {
				t.Errorf("%s: got %v %v, want %v", id, found, got, keys)
			}
			if want := text == "alice--shop--api"; found && c.PortForwarding != want {
				t.Errorf("%s: forwarding %v, want %v", id, c.PortForwarding, want)
			}
		}
	}
	look(map[string][]string{"alice--web": nil}) // nothing has been read yet
	follow()
	look(map[string][]string{
		"alice--web": {"alice/laptop", "alice/phone"}, "alice--shop--api": {"alice/phone"}, "bob--web": {"bob/laptop"},
		"alice--shop--off": nil, "alice--shop--none": nil, "alice--gone": nil,
		"alice--broken--wrong": nil, "alice--broken--right": {"alice/laptop"},
	})
	delete(files, "users/alice/keys/laptop.yaml")
	files["users/alice/web/web.yaml"] = "no: [yaml"
	follow()
	look(map[string][]string{"alice--web": nil, "alice--shop--api": {"alice/phone"}, "bob--web": {"bob/laptop"}})
	if c, _ := g.container(schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: "broken"}, Name: "right"}); len(c.Keys) > 0 {
		t.Errorf("a key that is gone opens: %v", c.Keys)
	}
}

func TestSSHGatewayNeedsAHostKey(t *testing.T) {
	g := sshGateway{fleet: func() *schema.Fleet { return nil }, log: slog.New(slog.DiscardHandler)}
	if _, err := g.server(); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("no file: %v", err)
	}
	g.config.HostKeyFiles = []string{filepath.Join(t.TempDir(), "key")}
	s, err := g.server()
	if err != nil {
		t.Fatal(err)
	}
	again, err := g.server()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.HostKeys()[0].Marshal(), s.HostKeys()[0].Marshal(); !cmp.Equal(got, want) {
		t.Error("the key isn't kept")
	}
}

// The first size is there before the command starts, and the newest one in the end.
func TestTerminalSizes(t *testing.T) {
	from, ended := make(chan gateway.Size, 1), make(chan struct{})
	defer close(ended)
	from <- gateway.Size{Columns: 80, Rows: 24}
	to := relay(from, ended)
	if got := len(to); got != 1 {
		t.Fatalf("%d sizes", got)
	}
	<-to
	from <- gateway.Size{Columns: 100, Rows: 30}
	if got := <-to; got.Columns != 100 || got.Rows != 30 {
		t.Errorf("%+v", got)
	}
	if relay[gateway.Size](nil, ended) != nil {
		t.Error("a size without a terminal")
	}
}
