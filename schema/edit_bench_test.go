package schema

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// BenchmarkEdit is one change of one field in a file full of comments.
func BenchmarkEdit(b *testing.B) {
	data, err := os.ReadFile("testdata/edit/comments-everywhere.txtar")
	if err != nil {
		b.Fatal(err)
	}
	file := txtar.Parse(data).Files[0].Data
	states := []string{"Stopped", "Running"}
	i := 0
	for b.Loop() {
		i++
		out, err := Edit(file, DocumentRef{KindContainer, "web"}, map[string]any{"state": states[i%2]})
		if err != nil || len(out) <= len(file) {
			b.Fatalf("got %d bytes and %v", len(out), err)
		}
	}
}
