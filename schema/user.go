package schema

import (
	"fmt"
	"path"
)

// userTree is what lies in users/<user>, before the platform and other users
// have had their say. It depends on the folder's hash alone.
type userTree struct {
	user     User
	hash     string
	keys     []*file
	spaces   []*spaceTree
	findings Findings // outside of spaces
	ring     *keyRing // what keys say, once they are read
}

// spaceTree is what lies in users/<user>/<space>.
type spaceTree struct {
	id       SpaceID
	hash     string
	files    []*file
	findings Findings // of the folder; those of files are in files
}

// task is a file that is still to be read.
type task struct {
	slot       **file
	path, hash string
}

// plan collects what a load has to read, and takes from earlier loads what is unchanged.
type plan struct {
	tree    Tree
	earlier []*memory
	tasks   []task
	lists   *lists
}

// user lists one user's folder, down to the files that must be read.
func (p *plan) user(user User, hash string) (*userTree, error) {
	for _, m := range p.earlier {
		if old := m.users[user]; old != nil && old.hash == hash {
			return old, nil
		}
	}
	top, err := readFolder(p.tree, path.Join(usersFolder, string(user)), hash)
	if err != nil {
		return nil, err
	}
	u := &userTree{user: user, hash: hash}
	for _, e := range top.documents() {
		top.report(path.Join(top.path, e.Name), "misplaced-file", "documents lie in the folder of a space or of keys",
			fmt.Sprintf("move it to %s/<space>/ or %s/%s/", top.path, top.path, keysFolder))
	}
	known := map[string]bool{}
	for _, e := range top.folders {
		known[e.Name] = true
		if err := p.below(u, &top, e); err != nil {
			return nil, err
		}
	}
	u.findings = append(u.findings, top.findings...)
	u.lostSpaces(known)
	return u, nil
}

// lostSpaces makes frozen spaces of what should be folders and isn't, such as
// symbolic links: their containers must not be taken for deleted.
func (u *userTree) lostSpaces(known map[string]bool) {
	var findings Findings
	for _, f := range u.findings {
		id := SpaceID{u.user, path.Base(f.File)}
		if path.Dir(f.File) != path.Join(usersFolder, string(u.user)) || known[id.Name] || id.Validate() != nil {
			findings = append(findings, f)
			continue
		}
		known[id.Name] = true
		u.spaces = append(u.spaces, &spaceTree{id: id, findings: Findings{f}})
	}
	u.findings = findings
}

func (p *plan) below(u *userTree, top *folder, e Entry) error {
	name := path.Join(top.path, e.Name)
	id := SpaceID{u.user, e.Name}
	bad := id.Validate()
	switch {
	case e.Name[0] == '.':
		return nil
	case e.Name == keysFolder:
		keys, err := readFolder(p.tree, name, e.Hash)
		if err != nil {
			return err
		}
		refuseFolders(&keys)
		u.keys = p.files(&keys, p.oldKeys(u.user))
		u.findings = append(u.findings, keys.findings...)
		return nil
	case bad != nil:
		top.report(name, "bad-name", sentence(bad.Error()), "use lower-case letters, digits and single hyphens")
		return nil
	default:
		s, err := p.space(id, e.Hash)
		if err != nil {
			return err
		}
		u.spaces = append(u.spaces, s)
		return nil
	}
}

func (p *plan) space(id SpaceID, hash string) (*spaceTree, error) {
	var old [][]*file
	for _, m := range p.earlier {
		if s := m.space(id); s != nil {
			if s.hash == hash {
				return s, nil
			}
			old = append(old, s.files)
		}
	}
	f, err := readFolder(p.tree, id.Path(), hash)
	if err != nil {
		return nil, err
	}
	refuseFolders(&f)
	s := &spaceTree{id: id, hash: hash}
	s.files = p.files(&f, old)
	s.findings = f.findings
	return s, nil
}

// refuseFolders reports folders where only files are read.
func refuseFolders(f *folder) {
	for _, e := range f.folders {
		if e.Name[0] != '.' {
			f.report(path.Join(f.path, e.Name), "misplaced-file", "a folder here would not be read", "move its files up")
		}
	}
}

func (p *plan) oldKeys(user User) [][]*file {
	var old [][]*file
	for _, m := range p.earlier {
		if u := m.users[user]; u != nil {
			old = append(old, u.keys)
		}
	}
	return old
}

// files returns the documents of a folder; those that no earlier load has read
// become tasks.
func (p *plan) files(f *folder, earlier [][]*file) []*file {
	known := map[string]*file{}
	for _, files := range earlier {
		for _, k := range files {
			known[k.path+"\x00"+k.hash] = k
		}
	}
	entries := f.documents()
	files := make([]*file, len(entries))
	for i, e := range entries {
		name := path.Join(f.path, e.Name)
		if files[i] = known[name+"\x00"+e.Hash]; files[i] == nil {
			p.tasks = append(p.tasks, task{&files[i], name, e.Hash})
		}
	}
	return files
}
