package schema

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is got as what is wanted")

// wantFile is the last file of an archive: the findings, then what is frozen.
const wantFile = "WANT"

func readArchive(t *testing.T, name string) (repository files, want string) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	repository = files{}
	for _, f := range archive.Files {
		if f.Name == wantFile {
			want = string(f.Data)
			continue
		}
		repository[f.Name] = string(f.Data)
	}
	return repository, want
}

func rewrite(t *testing.T, name, got string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	marker := []byte("-- " + wantFile + " --\n")
	if i := bytes.Index(data, marker); i >= 0 {
		data = data[:i]
	}
	data = append(append(data, marker...), got...)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// report is the findings of a fleet and which of its spaces are frozen.
func report(f *Fleet) string {
	var b strings.Builder
	b.WriteString(f.Findings.Text())
	if f.Frozen {
		b.WriteString("frozen: everything\n")
	}
	for _, id := range f.SpaceIDs() {
		if f.Spaces.Get(id).Frozen {
			b.WriteString("frozen: " + id.String() + "\n")
		}
	}
	return b.String()
}

func TestBad(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(names) < 80 {
		t.Fatalf("got %d archives and error %v, want at least 80", len(names), err)
	}
	loader := NewLoader()
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			repository, want := readArchive(t, name)
			fleet := load(t, loader, repository.fsys())
			got := report(fleet)
			if *update {
				rewrite(t, name, got)
				return
			}
			if len(fleet.Findings) == 0 {
				t.Error("got no findings")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
