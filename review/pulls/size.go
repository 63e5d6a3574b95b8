package pulls

import (
	"context"

	"bayplan.dev/schema"
)

// measure says whether more files differ than are read. A tree costs nothing to
// make and may name another a million times, so entries are counted too.
func measure(ctx context.Context, base, head schema.Snapshot, most int) error {
	m := measurement{base: base.Tree, head: head.Tree, files: most, entries: max(20*most, 100_000), most: most}
	return m.folder(ctx, base.Root, head.Root, 0)
}

type measurement struct {
	base, head     schema.Tree
	files, entries int
	most           int
}

// maxMeasured is how deep a fleet's folders are looked into; deeper ones aren't read.
const maxMeasured = 5

func (m *measurement) folder(ctx context.Context, base, head string, depth int) error {
	if base == head || head == "" || depth == maxMeasured {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return schema.Errorf(schema.Unavailable, "interrupted: %w", err)
	}
	before := map[string]schema.Entry{}
	if base != "" {
		list, err := m.base.Entries(base)
		if err != nil {
			return err
		}
		for _, e := range list {
			before[e.Name] = e
		}
	}
	list, err := m.head.Entries(head)
	if err != nil {
		return err
	}
	if m.entries -= len(list); m.entries < 0 {
		return m.tooMany()
	}
	for _, e := range list {
		was := before[e.Name]
		if was.Hash == e.Hash {
			continue
		}
		if e.Mode != schema.ModeFolder {
			if m.files--; m.files < 0 {
				return m.tooMany()
			}
			continue
		}
		if was.Mode != schema.ModeFolder {
			was.Hash = ""
		}
		if err := m.folder(ctx, was.Hash, e.Hash, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (m *measurement) tooMany() error {
	return schema.Errorf(schema.Exceeded, "more than %d files differ; split the change", m.most)
}
