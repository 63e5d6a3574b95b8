package mutation

import (
	"bytes"

	"bayplan.dev/schema"
)

// Create adds a document, by itself where the API writes it; a Conflict when it
// is there already.
func Create(target Target, spec map[string]any, expect Expect) Edit {
	return func(t Tree) (Outcome, error) {
		hash, err := existing(t, target)
		if err != nil {
			return Outcome{}, err
		}
		if err := expect.check(hash); err != nil {
			return Outcome{}, err
		}
		if hash != "" {
			return Outcome{}, schema.Errorf(schema.Conflict, "%s %q exists already", target.Noun(), target)
		}
		return create(t, target, spec)
	}
}

// existing is the hash of what is in the way of a new document. A space exists
// with its folder, whether it has a document or not.
func existing(t Tree, target Target) (string, error) {
	name := target.folder()
	if target.Kind != schema.KindSpace {
		found, err := find(t, target)
		if schema.CodeOf(err) == schema.NotFound {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		name = found.file
	}
	if empty, err := vacant(t, target.folder()); err != nil || empty {
		return "", err
	}
	e, err := t.Stat(name)
	if err != nil {
		return "", err
	}
	if e.Hash == "" {
		return "folder", nil // one that the same push has changed
	}
	return e.Hash, nil
}

// vacant says whether a folder is empty or not there.
func vacant(t Tree, dir string) (bool, error) {
	entries, err := t.List(dir)
	if schema.CodeOf(err) == schema.NotFound {
		return true, nil
	}
	return err == nil && len(entries) == 0, err
}

func create(t Tree, target Target, spec map[string]any) (Outcome, error) {
	name := target.Path()
	old, err := t.Read(name)
	var content []byte
	if schema.CodeOf(err) == schema.NotFound {
		content, err = schema.NewDocument(target.Kind, target.Name, spec)
	} else if err == nil {
		content, err = schema.Append(old, target.Kind, target.Name, spec)
	}
	if err != nil {
		return Outcome{}, inFile(name, err)
	}
	return replace(t, name, nil, content)
}

// replace writes a file where its content differs.
func replace(t Tree, name string, old, content []byte) (Outcome, error) {
	if old == nil || !bytes.Equal(old, content) {
		if err := write(t, name, content); err != nil {
			return Outcome{}, err
		}
	}
	e, err := t.Stat(name)
	return Outcome{File: name, Hash: e.Hash}, err
}

// Patch applies an RFC 7396 merge patch to the spec of a document. NotFound
// when there is none.
func Patch(target Target, patch map[string]any, expect Expect) Edit {
	return Change(target, func(map[string]any) (map[string]any, error) { return patch, nil }, expect)
}

// Change is Patch with a patch that depends on the spec as it is written. The
// spec isn't to be changed.
func Change(target Target, patchOf func(spec map[string]any) (map[string]any, error), expect Expect) Edit {
	return func(t Tree) (Outcome, error) {
		found, hash, err := expected(t, target, expect)
		if err != nil {
			return Outcome{}, err
		}
		patch, err := patchOf(found.spec)
		if err != nil {
			return Outcome{}, err
		}
		if len(patch) == 0 {
			return Outcome{File: found.file, Hash: hash}, nil
		}
		content, err := schema.Edit(found.content, target.ref(), patch)
		if err != nil {
			return Outcome{}, inFile(found.file, err)
		}
		return replace(t, found.file, found.content, content)
	}
}

// expected finds a document that is as the caller believes.
func expected(t Tree, target Target, expect Expect) (place, string, error) {
	found, err := find(t, target)
	if err != nil {
		return place{}, "", err
	}
	e, err := t.Stat(found.file)
	if err != nil {
		return place{}, "", err
	}
	return found, e.Hash, expect.check(e.Hash)
}

// Delete takes a document out of its file, and the file with its last one.
// NotFound when there is none.
func Delete(target Target, expect Expect) Edit {
	return func(t Tree) (Outcome, error) {
		found, _, err := expected(t, target, expect)
		if err != nil {
			return Outcome{}, err
		}
		out := Outcome{File: found.file}
		// Two files may have it, which is a finding: both have to go.
		for err == nil {
			if err := remove(t, target, found); err != nil {
				return Outcome{}, err
			}
			found, err = find(t, target)
		}
		if schema.CodeOf(err) != schema.NotFound && schema.CodeOf(err) != schema.Invalid {
			return Outcome{}, err
		}
		if e, err := t.Stat(out.File); err == nil {
			out.Hash = e.Hash
		}
		if target.Space != "" {
			out.SpaceGone, err = vacant(t, target.folder())
			return out, err
		}
		return out, nil
	}
}

func remove(t Tree, target Target, found place) error {
	rest, empty, err := schema.Remove(found.content, target.ref())
	if err != nil {
		return inFile(found.file, err)
	}
	if empty {
		return t.Remove(found.file)
	}
	return write(t, found.file, rest)
}

// Alone refuses an edit that would make something in a space that is there
// already: a Conflict.
func Alone(space schema.SpaceID, edit Edit) Edit {
	return func(t Tree) (Outcome, error) {
		empty, err := vacant(t, space.Path())
		if err != nil {
			return Outcome{}, err
		}
		if !empty {
			return Outcome{}, schema.Errorf(schema.Conflict, "space %q exists already", space)
		}
		return edit(t)
	}
}
