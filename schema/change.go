package schema

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
)

// Action is what a change does.
type Action string

// The actions.
const (
	ActionCreate Action = "create"
	ActionChange Action = "change"
	ActionDelete Action = "delete"
)

// Change is one difference between two fleets.
type Change struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	// ID is that of a container or space, "<user>--<space>/<name>" for a volume,
	// "<user>/<name>" for an SSH key, and empty for the platform.
	ID string `json:"id,omitempty"`
	// File is the newer one, or that which is gone.
	File string `json:"file"`
}

// String is the change in words, such as
// "create container alice--shop--api (users/alice/shop/api.yaml)".
func (c Change) String() string {
	what := kindWords[c.Kind]
	if c.ID != "" {
		what += " " + c.ID
	}
	return fmt.Sprintf("%s %s (%s)", c.Action, what, c.File)
}

var kindWords = map[Kind]string{ //nolint:gochecknoglobals // a table
	KindContainer: "container",
	KindVolume:    "volume",
	KindSpace:     "space",
	KindSSHKey:    "SSH key",
	KindPlatform:  "platform",
}

// item is one thing of a fleet, comparable with that of another fleet.
type item struct {
	kind  Kind
	id    string
	file  string
	space SpaceID // that it lies in, if any
	spec  any
}

// Diff returns what is created, changed and deleted on the way from one fleet to
// another, ordered by kind and id. What a frozen space doesn't show isn't taken
// for deleted. Either fleet may be nil, which is an empty one.
func Diff(from, to *Fleet) []Change {
	before, after := items(from), items(to)
	var changes []Change
	for key, now := range after {
		old, ok := before[key]
		switch {
		case !ok:
			changes = append(changes, Change{ActionCreate, now.kind, now.id, now.file})
		case !equality.Semantic.DeepEqual(old.spec, now.spec):
			changes = append(changes, Change{ActionChange, now.kind, now.id, now.file})
		}
	}
	for key, old := range before {
		if _, ok := after[key]; !ok && !hidden(to, old) {
			changes = append(changes, Change{ActionDelete, old.kind, old.id, old.file})
		}
	}
	order := Kinds()
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)),
			cmp.Compare(a.ID, b.ID),
		)
	})
	return changes
}

// hidden says whether an item may only be out of sight.
func hidden(f *Fleet, i item) bool {
	if f == nil {
		return false
	}
	if f.Frozen {
		return true
	}
	space := f.Spaces.Get(i.space)
	return space != nil && space.Frozen
}

func items(f *Fleet) map[string]item {
	all := map[string]item{}
	if f == nil {
		return all
	}
	add := func(i item) { all[string(i.kind)+" "+i.id] = i }
	if f.Platform != nil && (f.Platform.Source.Line > 0 || f.Overlay.Hash != "") {
		add(item{kind: KindPlatform, file: cmp.Or(f.Platform.Source.File, platformFolder), spec: f.Platform.Digest + f.Overlay.Hash})
	}
	for id, space := range f.Spaces.All() {
		add(item{kind: KindSpace, id: id.String(), file: space.Source.File, spec: space.Description})
		for _, c := range space.Containers {
			add(item{kind: KindContainer, id: c.ID.String(), file: c.Source.File, space: id, spec: c.Spec})
		}
		for _, v := range space.Volumes {
			add(item{kind: KindVolume, id: id.String() + "/" + v.Name, file: v.Source.File, space: id, spec: v.Spec})
		}
	}
	for user, keys := range f.Keys {
		for _, k := range keys {
			add(item{kind: KindSSHKey, id: string(user) + "/" + k.Name, file: k.Source.File, spec: k.PublicKey})
		}
	}
	return all
}

// Shrinks returns a finding for every volume that is smaller than before, which
// no cluster can do. It is no rule of Load, for one tree doesn't show it.
func Shrinks(from, to *Fleet) Findings {
	var findings Findings
	if from == nil || to == nil {
		return nil
	}
	for id, space := range to.Spaces.Changed(from.Spaces) {
		old := from.Spaces.Get(id)
		if old == nil {
			continue
		}
		for _, v := range space.Volumes {
			i := slices.IndexFunc(old.Volumes, func(o *Volume) bool { return o.Name == v.Name })
			if i < 0 || v.Spec.Size.Cmp(old.Volumes[i].Spec.Size) >= 0 {
				continue
			}
			findings = append(findings, Finding{
				Position: v.SizeAt, Severity: SeverityError, Code: "volume-shrink", Path: "spec.size",
				Message: fmt.Sprintf("%s is less than %s, and a volume can only grow", &v.Spec.Size, &old.Volumes[i].Spec.Size),
				Help:    "keep the size, or create a volume of another name",
			})
		}
	}
	findings.Sort()
	return findings
}
