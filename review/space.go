package review

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// spaceChanges is what was found of one space.
type spaceChanges struct {
	changes []Change
	refused schema.Findings
}

// spaceReview compares one space.
type spaceReview struct {
	*comparison
	id         schema.SpaceID
	was, now   *schema.Space
	unfamiliar bool // what the base holds isn't what runs
	// objects are those that differ; rendered says whether they are known.
	objects  []pair
	rendered bool
	// before and after are all objects.
	before, after []*unstructured.Unstructured
	out           spaceChanges
}

// space compares one space. It is safe for concurrent use.
func (c *comparison) space(id schema.SpaceID, render bool) spaceChanges {
	r := &spaceReview{comparison: c, id: id, was: c.base.fleet.Spaces.Get(id), now: c.head.fleet.Spaces.Get(id)}
	if c.head.frozen(r.now) && (r.now != nil || c.head.fleet.Frozen) {
		r.freeze()
		return r.out
	}
	r.unfamiliar = c.base.frozen(r.was) && r.was != nil
	if render && c.options.Render != nil {
		r.render()
	}
	containers := r.containers()
	volumes := r.volumes()
	r.itself(len(containers)+len(volumes) > 0)
	r.out.changes = append(append(r.out.changes, volumes...), containers...)
	return r.out
}

// freeze tells that nothing of the space is applied; where that was so before
// already, nothing is new.
func (r *spaceReview) freeze() {
	if r.now == nil || r.base.frozen(r.was) && r.was != nil {
		return
	}
	change := r.change(schema.KindSpace, r.id.String(), r.now.Source)
	if r.was == nil {
		change.Action = schema.ActionCreate
	}
	if r.head.fleet.Frozen {
		change.Cause = CausePlatform
	}
	change.Cautions = []Caution{warn(Frozen, r.now.Source, "it has errors, so nothing of it is applied or deleted until they are mended")}
	r.out.changes = append(r.out.changes, change)
}

// render pairs the objects of both sides. What the head's gate refuses becomes a finding.
func (r *spaceReview) render() {
	if r.now != nil {
		after, err := r.options.Render(r.head.fleet, r.id)
		if err != nil {
			r.out.refused = append(r.out.refused, schema.Finding{
				Position: r.now.Source, Severity: schema.SeverityError, Code: "render", Message: err.Error(),
			})
			return
		}
		r.after = after
	}
	if r.was != nil && !r.unfamiliar {
		before, err := r.options.Render(r.base.fleet, r.id)
		if err != nil {
			r.unfamiliar = true // what the gate refused was never applied
		}
		r.before = before
	}
	if r.rendered = !r.unfamiliar; r.rendered {
		r.objects = differing(r.before, r.after)
	}
}

// change begins a change of something of the space.
func (r *spaceReview) change(kind schema.Kind, id string, at schema.Position) Change {
	return Change{Action: schema.ActionChange, Kind: kind, ID: id, Position: at, Space: r.id}
}

// mine are the differences of the objects that are rendered from one thing.
func (r *spaceReview) mine(kind schema.Kind, name string) []Object {
	var objects []Object
	for _, p := range r.objects {
		k, n := p.owner()
		if k != kind || n != name {
			continue
		}
		o, err := p.describe(r.options)
		if err != nil {
			o = Object{Action: p.action(), Kind: p.any().GetKind(), Namespace: p.any().GetNamespace(), Name: p.any().GetName()}
		}
		objects = append(objects, o)
	}
	sortObjects(objects)
	return objects
}

// itself compares what stands for the space as a whole. The platform alone is
// the cause where nothing that lies in it has changed.
func (r *spaceReview) itself(contents bool) {
	at := r.place()
	change := r.change(schema.KindSpace, r.id.String(), at)
	change.Objects = r.mine(schema.KindSpace, "")
	switch {
	case r.was == nil:
		change.Action = schema.ActionCreate
	case r.now == nil:
		change.Action = schema.ActionDelete
		change.Cautions = append(change.Cautions, warn(SpaceDelete, at, "the namespace "+r.id.Namespace()+" is deleted"+r.holding()))
	default:
		change.Fields, _ = fieldsAt(path{"spec", "description"}, text(r.was.Description), text(r.now.Description), r.options)
		moved := r.was.Source.File != r.now.Source.File
		if r.unfamiliar {
			change.Cautions = append(change.Cautions, warn(Thawed, at, "it had errors before, so what runs there is of an earlier revision and may change in more than is shown"))
		}
		if len(change.Fields) == 0 && len(change.Objects) == 0 && len(change.Cautions) == 0 && !moved {
			return
		}
		if len(change.Fields) == 0 && !moved && len(change.Cautions) == 0 {
			change.Cause = CausePlatform
			if r.ownContents(contents) {
				change.Cause = CauseContents
			}
		}
	}
	if r.rendered && r.now != nil {
		change.Cautions = append(change.Cautions, r.network(at)...)
		change.Cautions = append(change.Cautions, r.security(at)...)
	}
	r.out.changes = append(r.out.changes, change)
}

// ownContents says whether a document of the space has changed.
func (r *spaceReview) ownContents(contents bool) bool {
	if !contents {
		return false
	}
	sum := func(s *schema.Space) []string {
		var all []string
		for _, c := range s.Containers {
			all = append(all, c.Source.File, c.Hash)
		}
		for _, v := range s.Volumes {
			all = append(all, v.Source.File, v.Hash)
		}
		return all
	}
	return !slices.Equal(sum(r.was), sum(r.now))
}

func (r *spaceReview) place() schema.Position {
	if r.now != nil {
		return r.now.Source
	}
	return r.was.Source
}

// holding says what goes with the space.
func (r *spaceReview) holding() string {
	containers, volumes := len(r.was.Containers), len(r.was.Volumes)
	if containers+volumes == 0 {
		return ""
	}
	return " with " + plural(containers, "container") + " and " + plural(volumes, "volume")
}

// text is nil for the empty text, which is no value.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// containers compares those of both sides.
func (r *spaceReview) containers() []Change {
	was, now := map[string]*schema.Container{}, map[string]*schema.Container{}
	if r.was != nil {
		for _, c := range r.was.Containers {
			was[c.ID.Name] = c
		}
	}
	if r.now != nil {
		for _, c := range r.now.Containers {
			now[c.ID.Name] = c
		}
	}
	var changes []Change
	for _, name := range names(was, now) {
		if change, differs := r.container(was[name], now[name]); differs {
			changes = append(changes, change)
		}
	}
	return changes
}

func (r *spaceReview) container(was, now *schema.Container) (Change, bool) {
	c := cmp.Or(now, was)
	change := r.change(schema.KindContainer, c.ID.String(), c.Source)
	change.Objects = r.mine(schema.KindContainer, c.ID.Name)
	switch {
	case was == nil:
		change.Action = schema.ActionCreate
		change.Fields, change.MoreFields = fieldsAt(path{"spec"}, nil, now.Spec, r.options)
	case now == nil:
		change.Action = schema.ActionDelete
	default:
		same := equality.Semantic.DeepEqual(was.Spec, now.Spec)
		if same && len(change.Objects) == 0 && was.Source.File == now.Source.File {
			return Change{}, false
		}
		if !same {
			change.Fields, change.MoreFields = fieldsAt(path{"spec"}, was.Spec, now.Spec, r.options)
		}
		if was.Hash == now.Hash && was.Source.File == now.Source.File {
			change.Cause = CausePlatform
		}
	}
	change.Cautions = r.containerCautions(was, now)
	return change, true
}

// volumes compares those of both sides.
func (r *spaceReview) volumes() []Change {
	was, now := map[string]*schema.Volume{}, map[string]*schema.Volume{}
	if r.was != nil {
		for _, v := range r.was.Volumes {
			was[v.Name] = v
		}
	}
	if r.now != nil {
		for _, v := range r.now.Volumes {
			now[v.Name] = v
		}
	}
	var changes []Change
	for _, name := range names(was, now) {
		if change, differs := r.volume(was[name], now[name]); differs {
			changes = append(changes, change)
		}
	}
	return changes
}

func (r *spaceReview) volume(was, now *schema.Volume) (Change, bool) {
	v := cmp.Or(now, was)
	change := r.change(schema.KindVolume, r.id.String()+"/"+v.Name, v.Source)
	change.Objects = r.mine(schema.KindVolume, v.Name)
	switch {
	case was == nil:
		change.Action = schema.ActionCreate
		change.Fields, change.MoreFields = fieldsAt(path{"spec"}, nil, now.Spec, r.options)
	case now == nil:
		change.Action = schema.ActionDelete
	default:
		same := equality.Semantic.DeepEqual(was.Spec, now.Spec)
		if same && len(change.Objects) == 0 && was.Source.File == now.Source.File {
			return Change{}, false
		}
		if !same {
			change.Fields, change.MoreFields = fieldsAt(path{"spec"}, was.Spec, now.Spec, r.options)
		}
		if was.Hash == now.Hash && was.Source.File == now.Source.File {
			change.Cause = CausePlatform
		}
	}
	change.Cautions = r.volumeCautions(was, now)
	return change, true
}
