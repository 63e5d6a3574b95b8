package pulls

import (
	"fmt"
	"testing"

	"bayplan.dev/schema"
)

// bomb is a tree in which each folder names the next a thousand times.
type bomb struct{ listed int }

func (b *bomb) Entries(hash string) ([]schema.Entry, error) {
	b.listed++
	var entries []schema.Entry
	for i := range 1000 {
		entries = append(entries, schema.Entry{Name: fmt.Sprint(i), Mode: schema.ModeFolder, Hash: hash + "x"})
	}
	return entries, nil
}

func (*bomb) Blob(string, int64) ([]byte, error) { return nil, schema.Errorf(schema.NotFound, "none") }

func TestMeasure(t *testing.T) {
	base := files{}
	for i := range 200 {
		base[fmt.Sprintf("users/alice/s%d/web.yaml", i)] = "a"
	}
	head := base.with("users/alice/s0/web.yaml", "b").with("users/bob/s/web.yaml", "c")
	delete(head, "users/alice/s9/web.yaml")
	from, to := base.snapshot(t, ""), head.snapshot(t, "")
	if err := measure(t.Context(), from, to, 2); err != nil {
		t.Error(err)
	}
	want(t, "code", schema.CodeOf(measure(t.Context(), from, to, 1)), schema.Exceeded)
	b := &bomb{}
	want(t, "code", schema.CodeOf(measure(t.Context(), from, schema.Snapshot{Root: "x", Tree: b}, 500)), schema.Exceeded)
	if b.listed > 101 {
		t.Errorf("%d folders of a bomb were listed", b.listed)
	}
}
