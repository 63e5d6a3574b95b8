package gitsync

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want string
		code schema.Code
	}{
		{"https://git.example.com/a/fleet.git", "https://git.example.com/a/fleet.git", ""},
		{"https://ann:pw@git.example.com/fleet.git/", "https://git.example.com/fleet.git", ""},
		{"http://localhost:3000/fleet.git", "http://localhost:3000/fleet.git", ""},
		{"http://[::1]:3000/fleet.git", "http://[::1]:3000/fleet.git", ""},
		{"http://git.example.com/fleet.git", "", schema.Invalid},
		{"ssh://git@git.example.com:2222/fleet.git", "ssh://git.example.com:2222/fleet.git", ""},
		{"git@git.example.com:a/fleet.git", "ssh://git.example.com/a/fleet.git", ""},
		{"/srv/fleet.git", "/srv/fleet.git", ""},
		{"file:///srv/fleet.git", "/srv/fleet.git", ""},
		{"git://git.example.com/fleet.git", "", schema.Invalid},
		{"ext::sh -c true", "", schema.Invalid},
		{"ssh://-oProxyCommand=x/y", "", schema.Invalid},
		{"-oProxyCommand=x:y", "", schema.Invalid},
		{"host:--upload-pack=x", "", schema.Invalid},
		{"https:///fleet.git", "", schema.Invalid},
		{"https://git.example.com/fleet.git?token=x", "", schema.Invalid},
		{"", "", schema.Invalid},
	} {
		r := Remote{URL: tt.url, KeyFile: "key", KnownHostsFile: "known_hosts"}
		repo, err := New(Options{Remote: r, Dir: "cache"})
		if got := schema.CodeOf(err); got != tt.code {
			t.Errorf("%q: got code %q, want %q: %v", tt.url, got, tt.code, err)
		}
		if err == nil && repo.String() != tt.want {
			t.Errorf("%q: got %q, want %q", tt.url, repo, tt.want)
		}
	}
	_, err := New(Options{Remote: Remote{URL: "http://git.example.com/x", AllowHTTP: true}, Dir: "cache"})
	if err != nil {
		t.Errorf("plain http that is allowed: %v", err)
	}
	_, err = New(Options{Remote: Remote{URL: "https://git.example.com/x"}})
	wantCode(t, err, schema.Invalid, "folder")
	_, err = New(Options{Remote: Remote{URL: "/x", Branch: "a..b"}})
	wantCode(t, err, schema.Invalid, "branch")
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"clone https://ann:pw@host/x failed": "clone https://***host/x failed",
		"see http://host/x?token=abc now":    "see http://host/x?*** now",
		"the word hunter2 itself":            "the word *** itself",
		"colour \x1b[31m":                    "colour ?[31m",
	} {
		if diff := cmp.Diff(want, redact(text, "hunter2")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
