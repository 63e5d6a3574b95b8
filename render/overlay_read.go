package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"bayplan.dev/schema"
)

const (
	kustomizationFile = "kustomization.yaml"
	// Bounds of an overlay: what kustomize makes of a file takes many times its size.
	maxOverlayBytes = 1 << 20
	maxOverlayList  = 100
	maxYAMLDepth    = 64
)

// overlayFile is the path of a file of the overlay within the fleet repository.
func overlayFile(name string) string { return "platform/" + name }

// refusedFields are the fields of a kustomization that an overlay has no use
// for, and what to do instead. Fields that are not in here are refused too.
var refusedFields = map[string]string{ //nolint:gochecknoglobals,gosec // a table, and the names of fields are no secrets
	"bases":                       "list the patches here",
	"buildMetadata":               "remove it: only Bayplan writes annotations",
	"commonAnnotations":           "remove it: only Bayplan writes annotations",
	"commonLabels":                "use labels, which leave selectors alone",
	"components":                  "list the patches here",
	"configMapGenerator":          "write the ConfigMap to a file and list it under resources",
	"configurations":              "remove it: it changes how kustomize itself works",
	"crds":                        "remove it: spaces have no custom resources",
	"generatorOptions":            "remove it together with the generators",
	"generators":                  "remove it: it would run a program",
	"helmChartInflationGenerator": "remove it: it would run helm",
	"helmCharts":                  "remove it: it would run helm",
	"helmGlobals":                 "remove it: it would run helm",
	"imageTags":                   "use images",
	"namePrefix":                  "remove it: names say which container an object belongs to",
	"nameSuffix":                  "remove it: names say which container an object belongs to",
	"namespace":                   "remove it: each space has its own",
	"openapi":                     "remove it: it would change how every space is rendered",
	"patchesJson6902":             "use patches",
	"patchesStrategicMerge":       "use patches",
	"replacements":                "use patches",
	"replicas":                    "remove it: spec.state of the container decides",
	"secretGenerator":             "create the Secret in the cluster: nothing secret belongs in Git",
	"sortOptions":                 "remove it: Bayplan decides what is applied first",
	"transformers":                "use patches: transformers could run a program",
	"validators":                  "remove it: it would run a program",
	"vars":                        "use patches",
}

// reader reads an overlay and gathers findings.
type reader struct {
	files    map[string][]byte
	overlay  overlay
	findings schema.Findings
	// file is the one being read.
	file string
}

// readOverlay returns the overlay when there are no findings.
func readOverlay(o schema.Overlay) (overlay, schema.Findings) {
	r := &reader{files: o.Files, file: kustomizationFile}
	size := 0
	for _, content := range o.Files {
		size += len(content)
	}
	_, found := o.Files[kustomizationFile]
	switch {
	case !found:
		r.find(nil, "overlay-file", "", "is missing", "add it, or remove the folder")
	case size > maxOverlayBytes:
		r.find(nil, "overlay-file", "", fmt.Sprintf("the folder has more than %d bytes", maxOverlayBytes), "keep only what the patches need")
	default:
		if root := r.parseOne(o.Files[kustomizationFile]); root != nil {
			r.kustomization(root)
		}
	}
	r.findings.Sort()
	return r.overlay, r.findings
}

// find notes a finding at a node, or at the whole file without one.
func (r *reader) find(n *yaml.Node, code, path, message, help string) {
	f := schema.Finding{
		Position: schema.Position{File: overlayFile(r.file)},
		Severity: schema.SeverityError,
		Code:     code, Path: path, Message: message, Help: help,
	}
	if n != nil && n.Line > 0 {
		f.Line, f.Column = n.Line, n.Column
		if lines := bytes.Split(r.files[r.file], []byte("\n")); n.Line <= len(lines) {
			f.Source = strings.TrimSuffix(string(lines[n.Line-1]), "\r")
			f.Width = max(1, min(len(n.Value), len(f.Source)-n.Column+1))
		}
	}
	r.findings = append(r.findings, f)
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// parse returns the documents of a file, without those that have findings.
func (r *reader) parse(content []byte) []*yaml.Node {
	var documents []*yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents
		}
		if err != nil {
			message := strings.TrimPrefix(err.Error(), "yaml: ")
			r.find(yamlPosition(message), "overlay-yaml", "", "is not YAML: "+yamlLine.ReplaceAllString(message, ""), "mend the line")
			return nil
		}
		if len(document.Content) == 1 && r.plain(document.Content[0], 0) {
			documents = append(documents, document.Content[0])
		}
	}
}

// yamlPosition reads the line out of the parser's message, which has it nowhere else.
func yamlPosition(message string) *yaml.Node {
	match := yamlLine.FindStringSubmatch(message)
	if match == nil {
		return nil
	}
	n := &yaml.Node{Column: 1}
	if _, err := fmt.Sscan(match[1], &n.Line); err != nil {
		return nil
	}
	return n
}

// parseOne returns the only document of a file, or nil after a finding.
func (r *reader) parseOne(content []byte) *yaml.Node {
	before := len(r.findings)
	documents := r.parse(content)
	if len(documents) == 1 {
		return documents[0]
	}
	if len(r.findings) == before {
		r.find(nil, "overlay-yaml", "", fmt.Sprintf("has %d documents", len(documents)), "write exactly one")
	}
	return nil
}

// plain refuses what makes YAML say one thing and mean another.
func (r *reader) plain(n *yaml.Node, depth int) bool {
	const help = "write it out"
	switch {
	case depth > maxYAMLDepth:
		r.find(n, "overlay-yaml", "", "is nested too deeply", "flatten it")
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.find(n, "overlay-yaml", "", "anchors and aliases are not allowed", help)
		return false
	case n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!!merge":
		r.find(n, "overlay-yaml", "", "tags and merge keys are not allowed", help)
		return false
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if !r.plain(child, depth+1) {
			return false
		}
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		if seen[child.Value] {
			r.find(child, "overlay-yaml", child.Value, "occurs twice", "keep one")
			return false
		}
		seen[child.Value] = true
	}
	return true
}

// fields walks a mapping and calls what is allowed.
func (r *reader) fields(n *yaml.Node, path string, allowed map[string]func(*yaml.Node, string)) {
	if n.Kind != yaml.MappingNode {
		r.find(n, "overlay-value", path, "must be a mapping", "write fields: "+names(allowed))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := strings.TrimPrefix(path+"."+key.Value, ".")
		if read, ok := allowed[key.Value]; ok {
			read(value, field)
			continue
		}
		help, known := refusedFields[key.Value]
		if path != "" || !known {
			help = "remove it; allowed are " + names(allowed)
		}
		r.find(key, "overlay-field", field, "is not allowed in the platform's overlay", help)
	}
}

func names(allowed map[string]func(*yaml.Node, string)) string {
	return strings.Join(slices.Sorted(maps.Keys(allowed)), ", ")
}

// list walks a sequence of bounded length.
func (r *reader) list(n *yaml.Node, path string, read func(*yaml.Node, string)) {
	if n.Kind != yaml.SequenceNode {
		r.find(n, "overlay-value", path, "must be a list", "begin each entry with a dash")
		return
	}
	if len(n.Content) > maxOverlayList {
		r.find(n, "overlay-value", path, fmt.Sprintf("has more than %d entries", maxOverlayList), "join some")
		return
	}
	for i, entry := range n.Content {
		read(entry, fmt.Sprintf("%s[%d]", path, i))
	}
}

// text reads a string into its place.
func (r *reader) text(to *string) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			r.find(n, "overlay-value", path, "must be a string", "put it in quotes")
			return
		}
		*to = n.Value
	}
}

var remotePattern = regexp.MustCompile(`://|\?ref=|^git::|^gh:|^github\.com[/:]|^[^/]*@[^/]*:`)

// content reads the file of the overlay that a node names.
func (r *reader) content(n *yaml.Node, path string) (name string, content []byte, ok bool) {
	r.text(&name)(n, path)
	if name == "" {
		return "", nil, false
	}
	clean := strings.TrimPrefix(name, "./")
	content, found := r.files[clean]
	switch {
	case remotePattern.MatchString(name):
		r.find(n, "overlay-file", path, fmt.Sprintf("%q is not in this repository", name), "copy the file to platform/: nothing is fetched")
	case strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), ".."):
		r.find(n, "overlay-file", path, fmt.Sprintf("%q leaves the folder platform/", name), "copy the file to platform/")
	case !fs.ValidPath(clean) || !found || clean == kustomizationFile:
		r.find(n, "overlay-file", path, fmt.Sprintf("there is no file %q in platform/", name), "folders are not read; name a file")
	default:
		return clean, content, true
	}
	return "", nil, false
}
