package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad: whatever a file holds, the loader lives, its findings stand inside
// the file, and nothing it accepts or refuses changes with a second look.
func FuzzLoad(f *testing.F) {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, archive := range archives {
		data, err := os.ReadFile(archive)
		if err != nil {
			f.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "--\n")
		first, _, _ := strings.Cut(rest, "\n-- ")
		f.Add(first + "\n")
	}
	f.Add(webFile)
	f.Add(keyFile("laptop", aliceKey))
	defs, err := compile()
	if err != nil {
		f.Fatal(err)
	}
	loader := &Loader{turn: make(chan struct{}, 1), shelf: &shelf{}, defs: defs}
	f.Fuzz(func(t *testing.T, data string) {
		repository := files{"users/alice/web/web.yaml": data, "users/alice/keys/web.yaml": data, "platform.yaml": data}
		loader.recent = nil
		fleet := load(t, loader, repository.fsys())
		for _, finding := range fleet.Findings {
			checkPlace(t, finding, data)
		}
		if len(data) > 0 && fleet.Spaces.Get(SpaceID{"alice", "web"}) == nil {
			t.Error("the space is not in the fleet")
		}
		again := load(t, loader, repository.fsys())
		if got, want := again.Findings.Text(), fleet.Findings.Text(); got != want {
			t.Errorf("findings change from\n%s\nto\n%s", want, got)
		}
	})
}

// checkPlace reports a finding that stands outside of its file or shows another line than its own.
func checkPlace(t *testing.T, f Finding, data string) {
	t.Helper()
	if f.Line == 0 {
		return
	}
	all := strings.Split(data, "\n")
	if f.Line > len(all) {
		t.Errorf("line %d of %d: %s", f.Line, len(all), f.Text())
		return
	}
	line := strings.TrimSuffix(all[f.Line-1], "\r")
	if f.Column < 0 || f.Column > len(line)+1 || f.Width < 0 || f.Column > 0 && f.Column-1+f.Width > len(line)+1 {
		t.Errorf("column %d, width %d of %d bytes: %s", f.Column, f.Width, len(line), f.Text())
	}
	if f.Source != "" && f.Source != line {
		t.Errorf("got line %q, want %q", f.Source, line)
	}
	if f.Message == "" || f.Code == "" || strings.ContainsAny(f.Message+f.Help+f.Path, "\n\r") {
		t.Errorf("a finding without sentence or code: %+v", f)
	}
}
