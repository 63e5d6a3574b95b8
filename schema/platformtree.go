package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxOverlayFiles bounds the files below platform/.
const maxOverlayFiles = 100

// kustomizationFile is what makes the folder platform/ an overlay.
const kustomizationFile = "kustomization.yaml"

// platformTree is what platform.yaml and platform/ say. It depends on their hashes alone.
type platformTree struct {
	hash     string // of both
	slots    []*file
	platform *Platform
	doc      *document
	overlay  Overlay
	findings Findings
	lists    *lists
}

// broken says whether nothing may be applied because of the platform.
func (t *platformTree) broken() bool { return len(t.findings.Errors()) > 0 }

// platform reads what the top folder says of the platform; the platform's file
// becomes a task.
func (p *plan) platform(top *folder) (*platformTree, error) {
	t := &platformTree{lists: p.lists}
	var overlay *Entry
	for _, e := range top.files {
		switch e.Name {
		case platformFile:
			t.slots = make([]*file, 1)
			t.hash += "file " + e.Hash
			p.tasks = append(p.tasks, task{&t.slots[0], platformFile, e.Hash})
		case "platform.yml", usersFolder, platformFolder:
			help := "rename it to " + platformFile
			if e.Name != "platform.yml" {
				help = "it must be a folder"
			}
			t.findings = append(t.findings, Finding{
				Position: Position{File: e.Name}, Severity: SeverityError, Code: "misplaced-file",
				Message: "the file would not be read", Help: help,
			})
		}
	}
	for _, e := range top.folders {
		if e.Name == platformFolder {
			overlay = &e
			t.hash += "folder " + e.Hash
		}
		if e.Name == platformFile {
			t.findings = append(t.findings, Finding{
				Position: Position{File: e.Name}, Severity: SeverityError, Code: "misplaced-file",
				Message: "is a folder", Help: "it must be a file",
			})
		}
	}
	for _, m := range p.earlier {
		if m.platform != nil && m.platform.hash == t.hash && len(t.findings) == 0 && !m.platform.broken() {
			if t.slots != nil {
				p.tasks = p.tasks[:len(p.tasks)-1]
			}
			return m.platform, nil
		}
	}
	if overlay == nil {
		return t, nil
	}
	return t, p.overlay(t, overlay.Hash)
}

// overlay reads the files below platform/.
func (p *plan) overlay(t *platformTree, hash string) error {
	files := map[string][]byte{}
	if err := p.collect(t, files, platformFolder, hash); err != nil {
		return err
	}
	if len(files) > maxOverlayFiles {
		t.report(platformFolder, "too-many", fmt.Sprintf("the overlay has more than %d files", maxOverlayFiles), "remove some")
	}
	if files[kustomizationFile] == nil && len(files) > 0 && !t.broken() {
		t.report(path.Join(platformFolder, kustomizationFile), "missing-file", "the overlay has no "+kustomizationFile, "add it, or remove the folder "+platformFolder)
	}
	if t.broken() || len(files) == 0 {
		return nil
	}
	t.overlay = Overlay{Files: files, Hash: hashFiles(files)}
	return nil
}

func (t *platformTree) report(name, code, message, help string) {
	t.findings = append(t.findings, Finding{
		Position: Position{File: name}, Severity: SeverityError, Code: code, Message: message, Help: help,
	})
}

func (p *plan) collect(t *platformTree, files map[string][]byte, name, hash string) error {
	f, err := readFolder(p.tree, name, hash)
	if err != nil {
		return err
	}
	t.findings = append(t.findings, f.findings...)
	for _, e := range f.files {
		if strings.HasPrefix(e.Name, ".") || strings.HasSuffix(e.Name, ".md") {
			continue
		}
		if len(files) > maxOverlayFiles {
			return nil
		}
		full := path.Join(name, e.Name)
		data, err := p.tree.Blob(e.Hash, maxFileSize)
		switch {
		case CodeOf(err) == Exceeded:
			f := tooLarge(full)
			t.findings = append(t.findings, f)
			continue
		case err != nil:
			return fmt.Errorf("read %s: %w", full, err)
		case !utf8.Valid(data) || strings.ContainsRune(string(data), 0):
			t.report(full, "not-utf8", "the file is not UTF-8 text", "remove it")
			continue
		}
		files[strings.TrimPrefix(full, platformFolder+"/")] = data
	}
	for _, e := range f.folders {
		if strings.HasPrefix(e.Name, ".") {
			continue
		}
		if err := p.collect(t, files, path.Join(name, e.Name), e.Hash); err != nil {
			return err
		}
	}
	return nil
}

func tooLarge(name string) Finding {
	return Finding{
		Position: Position{File: name}, Severity: SeverityError, Code: "too-large",
		Message: fmt.Sprintf("the file has more than %d KiB", maxFileSize>>10), Help: "split it",
	}
}

func hashFiles(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Write(fmt.Appendf(nil, "%q %d\n", name, len(files[name])))
		h.Write(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// finish makes the platform of what its file says, once it is read.
func (t *platformTree) finish(tree Tree) error {
	if t.platform != nil {
		return nil // from an earlier load
	}
	t.platform = &Platform{Source: Position{File: platformFile}}
	var issues []issue
	for _, f := range t.slots {
		t.findings = append(t.findings, f.findings...)
		for _, d := range f.docs {
			switch {
			case d.kind != KindPlatform:
				issues = append(issues, misplaced(d, "only the kind Platform stands in "+platformFile))
			case t.doc != nil:
				issues = append(issues, duplicate(d, t.doc, "the platform"))
			default:
				t.doc = d
				t.platform.Spec, t.platform.Source = *d.platform, d.source
			}
		}
	}
	t.platform.Spec.fill()
	if t.doc != nil {
		issues = append(issues, checkPlatform(&t.platform.Spec, t.doc)...)
	}
	found, err := settle(tree, issues)
	if err != nil {
		return err
	}
	t.findings = append(t.findings, found...)
	data, err := json.Marshal(t.platform.Spec)
	if err != nil {
		return errors.Join(Errorf(Internal, "encode the platform"), err)
	}
	sum := sha256.Sum256(data)
	t.platform.Digest = hex.EncodeToString(sum[:])
	return nil
}
