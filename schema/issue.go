package schema

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// issue is a finding about a document whose nodes aren't at hand any more. Its
// place is found by reading the file again, which only broken fleets pay for.
type issue struct {
	doc  *document
	path fieldPath
	// onKey marks the field's name rather than its value.
	onKey bool
	Finding
}

// freezes says whether the issue is an error.
func (i issue) freezes() bool { return i.Severity != SeverityWarning }

// settle turns issues into findings with their places.
func settle(tree Tree, issues []issue) (Findings, error) {
	pages := map[*file]*page{}
	var findings Findings
	for _, i := range issues {
		f := i.doc.file
		p := pages[f]
		if p == nil {
			data, err := tree.Blob(f.hash, maxFileSize)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", f.path, err)
			}
			p = parsePage(f.path, data)
			pages[f] = p
		}
		findings = append(findings, i.settle(p))
	}
	return findings, nil
}

func (i issue) settle(p *page) Finding {
	f := i.Finding
	f.Path = i.path.String()
	var node *yaml.Node
	if i.doc.index < len(p.docs) {
		key, value := at(p.docs[i.doc.index], i.path)
		node = value
		if i.onKey {
			node = key
		}
	}
	f = p.place(node, f)
	if f.Code == "secret-in-env" || i.doc.kind == KindSSHKey {
		f.Source, f.Width = "", 0
	}
	return f
}

// misplaced says that a document's kind doesn't belong where it lies.
func misplaced(d *document, help string) issue {
	return issue{doc: d, path: fieldPath{"kind"}, Finding: Finding{
		Code: "misplaced-kind", Message: fmt.Sprintf("kind %s doesn't belong here", d.kind), Help: help,
	}}
}

// duplicate says that a name is taken by an earlier document.
func duplicate(d, first *document, what string) issue {
	return issue{doc: d, path: fieldPath{"metadata", "name"}, Finding: Finding{
		Code: "duplicate-name", Message: what + " exists twice", Help: "rename or remove one of them",
		Related: []Position{first.source},
	}}
}
