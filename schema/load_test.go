package schema

import (
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
)

// files is a fleet repository by its paths.
type files map[string]string

func (f files) fsys() fs.FS {
	m := fstest.MapFS{}
	for name, data := range f {
		m[name] = &fstest.MapFile{Data: []byte(data), Mode: 0o644}
	}
	return m
}

func snapshot(t testing.TB, fsys fs.FS) Snapshot {
	t.Helper()
	s, err := FromFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func load(t testing.TB, l *Loader, fsys fs.FS) *Fleet {
	t.Helper()
	fleet, err := l.Load(t.Context(), snapshot(t, fsys))
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

func TestExamplesHaveNoFindings(t *testing.T) {
	examples, err := os.ReadDir("../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples {
		if !e.IsDir() {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			fleet := load(t, NewLoader(), os.DirFS("../examples/"+e.Name()))
			if got := fleet.Findings.Text(); got != "" {
				t.Errorf("got findings, want none:\n%s", got)
			}
			if fleet.Spaces.Len() == 0 {
				t.Error("got no spaces")
			}
		})
	}
}

func TestGoodHasNoFindings(t *testing.T) {
	names, err := os.ReadDir("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		t.Run(e.Name(), func(t *testing.T) {
			fleet := load(t, NewLoader(), os.DirFS("testdata/good/"+e.Name()))
			if got := report(fleet); got != "" {
				t.Errorf("got findings, want none:\n%s", got)
			}
		})
	}
}
