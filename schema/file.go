package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is what one blob says at one path; it depends on nothing else.
type file struct {
	path     string
	hash     string
	docs     []*document
	findings Findings
}

// document is one document of a file whose kind is known.
type document struct {
	file   *file
	index  int // among the documents of the file
	kind   Kind
	name   string // empty when it is wrong
	source Position
	sizeAt Position // of a volume's size
	// wrong are the paths of its findings of severity error. If there are any, what
	// follows is what could be read.
	wrong     []string
	container *ContainerSpec
	raw       map[string]any // of a container with a preset
	volume    *VolumeSpec
	space     *spaceSpec
	key       *sshKeySpec
	platform  *PlatformSpec
}

// broken says whether the document has findings.
func (d *document) broken() bool { return len(d.wrong) > 0 }

// suspects says whether a finding about a path may be the consequence of an
// earlier one: of the same field, one above it or one below it.
func (d *document) suspects(path string) bool {
	return slices.ContainsFunc(d.wrong, func(wrong string) bool {
		return within(path, wrong) || within(wrong, path)
	})
}

// within says whether path is outer or lies below it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || outer == "" || rest[0] == '.' || rest[0] == '[')
}

// readFile reads a file. A panic of a parser becomes a finding, so that no
// file can hold up the others.
func (r *reader) readFile(path, hash string, data []byte) (result *file) {
	f := &file{path: path, hash: hash}
	defer func() {
		if p := recover(); p != nil {
			f.docs = nil
			f.findings = Findings{{
				Position: Position{File: path}, Severity: SeverityError, Code: "unreadable",
				Message: "the file confuses the parser", Help: "write it in a simpler way",
			}}
			result = f
		}
	}()
	p := parsePage(path, data)
	for i, root := range p.docs {
		before := len(p.findings)
		kind, value := r.document(p, root)
		if kind == "" {
			continue
		}
		d := &document{file: f, index: i, kind: kind, source: Position{path, root.Line, root.Column}}
		d.decode(p, root, value)
		if d.container != nil {
			r.lists.shareAll(&d.container.Resources)
		}
		if _, size := at(root, fieldPath{"spec", "size"}); kind == KindVolume {
			d.sizeAt = p.place(size, Finding{}).Position
		}
		for _, finding := range p.findings[before:].Errors() {
			d.wrong = append(d.wrong, finding.Path)
		}
		f.docs = append(f.docs, d)
	}
	if p.cut {
		p.findings = append(p.findings, Finding{
			Position: Position{File: path}, Severity: SeverityError, Code: "too-many",
			Message: fmt.Sprintf("the file has more than %d findings; the others are left out", maxFindings),
		})
	}
	f.findings = p.findings
	return f
}

// decode fills the spec of the document's kind from what was read of it.
func (d *document) decode(p *page, root *yaml.Node, value map[string]any) {
	if metadata, ok := value["metadata"].(map[string]any); ok {
		d.name, _ = metadata["name"].(string)
	}
	spec, _ := value["spec"].(map[string]any)
	var target any
	switch d.kind {
	case KindContainer:
		d.container = &ContainerSpec{}
		target = d.container
		if spec["from"] != nil {
			d.raw = spec
		}
	case KindVolume:
		d.volume = &VolumeSpec{}
		target = d.volume
	case KindSpace:
		d.space = &spaceSpec{}
		target = d.space
	case KindSSHKey:
		d.key = &sshKeySpec{}
		target = d.key
	case KindPlatform:
		d.platform = &PlatformSpec{}
		target = d.platform
	}
	if err := decode(spec, target); err != nil {
		_, node := at(root, fieldPath{"spec"})
		p.report(node, Finding{Code: "unreadable", Path: "spec", Message: "can't be read", Help: "compare it with an example"})
	}
	if d.kind == KindPlatform {
		d.platform.keepNumbers(spec)
	}
}

// keepNumbers puts presets as they were read in place of what JSON has made of
// their whole numbers, which CUE tells from others.
func (s *PlatformSpec) keepNumbers(raw map[string]any) {
	presets, _ := raw["presets"].(map[string]any)
	for name, preset := range s.Presets {
		if read, ok := presets[name].(map[string]any); ok {
			preset.Spec, _ = read["spec"].(map[string]any)
			s.Presets[name] = preset
		}
	}
}

// decode turns a value into a struct by way of JSON.
func decode(value, target any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := json.Unmarshal(data, target); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
