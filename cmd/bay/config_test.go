package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSampleConfigIsValid(t *testing.T) {
	c := defaultConfig()
	if err := c.readConfig("../../deploy/config.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := c.validate(); err != nil {
		t.Error(err)
	}
	if got := c.Limits; got.Reads.PerSecond != 100 || got.Reads.Burst != 400 || got.Writes.PerSecond != 20 || got.Streams != 16384 || got.Upload.Value() != 1<<30 {
		t.Errorf("got %+v", got)
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	for text, good := range map[string]bool{"10.1.0.0/16": true, "fd00::/8": true, "10.1.0.1": false, "proxy": false} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte("trustedProxies: ['"+text+"']\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := defaultConfig()
		if err := c.readConfig(file); (err == nil) != good || good && c.TrustedProxies[0].String() != text {
			t.Errorf("%s: got %v %v", text, c.TrustedProxies, err)
		}
	}
}

func TestConfigNamesUnknownFields(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("repository: {uri: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	if err := c.readConfig(file); err == nil || !strings.Contains(err.Error(), "uri") {
		t.Errorf("got %v, want an error that names uri", err)
	}
}

func TestFlagBeatsEnvironmentBeatsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "listen: 127.0.0.1:1\nrepository: {url: file, branch: file}\ncluster: {context: file}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{env: []string{"BAYPLAN_BRANCH=environment", "BAYPLAN_CONTEXT=environment"}}
	flags := defaultConfig()
	cmd := a.versionCommand()
	flags.bindFlags(cmd)
	if err := cmd.ParseFlags([]string{"--context", "flag"}); err != nil {
		t.Fatal(err)
	}
	c, err := a.configOf(cmd, flags, file)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Repository.URL, c.Repository.Branch, c.Cluster.Context, c.Metrics.Listen}
	want := []string{"file", "environment", "flag", "127.0.0.1:9090"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
			break
		}
	}
}

func TestReviewSettings(t *testing.T) {
	forge := forgeConfig{Kind: "forgejo", URL: "https://forge.example.com/api/v1", Repository: "team/fleet", TokenFile: "/t"}
	good := repositoryConfig{URL: "https://forge.example.com/team/fleet.git", Branch: "main", Review: "pull-request", Forge: forge}
	for name, c := range map[string]struct {
		change func(*repositoryConfig)
		want   string
	}{
		"forge":            {func(*repositoryConfig) {}, ""},
		"branches only":    {func(c *repositoryConfig) { c.Forge = forgeConfig{} }, ""},
		"nothing":          {func(c *repositoryConfig) { c.Review, c.Forge = "", forgeConfig{} }, ""},
		"unknown":          {func(c *repositoryConfig) { c.Review = "merge-request" }, `repository.review "merge-request" must be pull-request`},
		"hosted":           {func(c *repositoryConfig) { c.URL, c.Host = "", "/var/lib/bayplan" }, "a repository that Bayplan hosts has no pull requests"},
		"forge for naught": {func(c *repositoryConfig) { c.Review = "" }, "repository.forge is for repository.review"},
		"reviews only":     {func(c *repositoryConfig) { c.Review, c.Forge.Reviews = "", true }, ""},
		"reviews, hosted": {func(c *repositoryConfig) {
			c.Review, c.URL, c.Host, c.Forge.Reviews = "", "", "/var/lib/bayplan", true
		}, "repository.forge needs repository.url"},
		"reviews of nothing": {func(c *repositoryConfig) { c.Review, c.Forge = "", forgeConfig{Reviews: true} }, "repository.forge: forge: URL must be"},
		"no kind":            {func(c *repositoryConfig) { c.Forge.Kind = "" }, `repository.forge: forge: kind "" is none of`},
		"no token":           {func(c *repositoryConfig) { c.Forge.TokenFile = "" }, "a token file"},
		"page, not API":      {func(c *repositoryConfig) { c.Forge.URL = "http://forge.example.com" }, "use https"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := good
			c.change(&settings)
			full := defaultConfig()
			settings.Poll = full.Repository.Poll
			full.Repository = settings
			err := full.validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
