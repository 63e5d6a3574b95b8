package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	corev1 "k8s.io/api/core/v1"
)

// spaceCheck turns the documents of one space into a Space.
type spaceCheck struct {
	tree     *spaceTree
	ring     *keyRing
	platform *PlatformSpec
	cue      *cue.Context // for presets; nil until the first
	lists    *lists
	names    map[Kind]map[string]*document
	out      *resolvedSpace
}

func (c *spaceCheck) run() {
	frozen := len(c.tree.findings.Errors()) > 0
	for _, f := range c.tree.files {
		frozen = frozen || len(f.findings.Errors()) > 0
		for _, d := range f.docs {
			c.enter(d)
		}
	}
	space := c.out.space
	for _, name := range slices.Sorted(maps.Keys(c.names[KindVolume])) {
		c.volume(c.names[KindVolume][name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.names[KindContainer])) {
		c.container(c.names[KindContainer][name])
	}
	space.Frozen = frozen || slices.ContainsFunc(c.out.issues, issue.freezes) || slices.ContainsFunc(c.out.ruled, issue.freezes)
}

// enter puts a document where its kind and name belong.
func (c *spaceCheck) enter(d *document) {
	names := c.names[d.kind]
	switch {
	case names == nil && d.kind == KindSSHKey:
		c.report(misplaced(d, fmt.Sprintf("move it to users/%s/%s/", c.tree.id.User, keysFolder)))
	case names == nil:
		c.report(misplaced(d, "the platform's word stands in "+platformFile+" at the top"))
	case d.name == "":
	case names[d.name] != nil:
		c.report(duplicate(d, names[d.name], fmt.Sprintf("%s %s", strings.ToLower(string(d.kind)), d.name)))
	default:
		names[d.name] = d
		if d.kind == KindSpace {
			c.describe(d)
		}
	}
}

func (c *spaceCheck) report(i issue) { c.out.issues = append(c.out.issues, i) }

func (c *spaceCheck) describe(d *document) {
	if d.name != c.tree.id.Name {
		c.report(issue{doc: d, path: fieldPath{"metadata", "name"}, Finding: Finding{
			Code: "space-name", Message: fmt.Sprintf("%q is not the name of the folder, %q", d.name, c.tree.id.Name),
			Help: "write name: " + c.tree.id.Name,
		}})
		return
	}
	c.out.space.Description = d.space.Description
	c.out.space.Source = d.source
}

func (c *spaceCheck) volume(d *document) {
	v := &Volume{Space: c.tree.id, Name: d.name, Spec: *d.volume, Source: d.source, SizeAt: d.sizeAt, Hash: d.file.hash}
	if !d.broken() && v.Spec.Size.Sign() <= 0 {
		c.report(issue{doc: d, path: fieldPath{"spec", "size"}, Finding: Finding{
			Code: "bad-quantity", Message: "the size must be more than 0", Help: "write a size, such as 5Gi",
		}})
	}
	if len(v.Spec.AccessModes) == 0 {
		v.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	c.out.disks[v] = d
	c.out.space.Volumes = append(c.out.space.Volumes, v)
}

func (c *spaceCheck) container(d *document) {
	id := ContainerID{c.tree.id, d.name}
	if err := id.Validate(); err != nil {
		c.report(issue{doc: d, path: fieldPath{"metadata", "name"}, Finding: Finding{
			Code: "long-id", Message: err.Error(), Help: "shorten the name of the container or of the space",
		}})
	}
	check := &containerCheck{space: c, doc: d, id: id, platform: c.platform}
	container := &Container{ID: id, Spec: *d.container, Source: d.source, Hash: d.file.hash}
	check.spec = &container.Spec
	merged := check.preset()
	container.Spec.fill(id, c.platform)
	c.lists.shareAll(&container.Spec.Resources)
	if merged {
		check.run()
	}
	c.out.docs[container] = d
	c.out.space.Containers = append(c.out.space.Containers, container)
}

// digest identifies all that the space's objects are rendered from.
func (s *Space) digest(p *platformTree) string {
	type part struct {
		Name, Source string
		Spec         any
	}
	parts := []part{{s.ID.String(), s.Source.File, s.Description}}
	for _, v := range s.Volumes {
		parts = append(parts, part{v.Name, v.Source.File, v.Spec})
	}
	for _, c := range s.Containers {
		parts = append(parts, part{c.ID.String(), c.Source.File, c.Spec})
	}
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "%s %s\n", p.platform.Digest, p.overlay.Hash))
	encoder := json.NewEncoder(h)
	for _, part := range parts {
		if err := encoder.Encode(part); err != nil {
			// A spec that JSON can't hold can't have come from JSON.
			h.Write(fmt.Appendf(nil, "%v\n", part))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
