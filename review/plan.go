package review

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// Options say how two fleets are compared. The zero value of each bound is its default.
type Options struct {
	// Render returns the objects of a space of a fleet; they aren't changed. Without
	// it nothing is known of objects, and no caution that rests on them is raised.
	Render func(*schema.Fleet, schema.SpaceID) ([]*unstructured.Unstructured, error)
	// ShowValues shows values that may be secret.
	ShowValues bool
	// MaxSpaces bounds the spaces that are rendered, twice each (20,000).
	MaxSpaces int
	// MaxChanges bounds the changes that are described (1,000), MaxAffected those
	// among them that only the platform causes (20). Cautions are counted beyond that.
	MaxChanges, MaxAffected int
	// MaxFields bounds the fields of one change (100), MaxValue the bytes of one value (200).
	MaxFields, MaxValue int
	// MaxObject bounds the bytes of one object's difference (16 KiB), MaxObjects those of all (4 MiB).
	MaxObject, MaxObjects int
}

func (o Options) withDefaults() Options {
	for field, value := range map[*int]int{
		&o.MaxSpaces: 20_000, &o.MaxChanges: 1000, &o.MaxAffected: 20, &o.MaxFields: 100, &o.MaxValue: 200,
		&o.MaxObject: 16 << 10, &o.MaxObjects: 4 << 20,
	} {
		if *field == 0 {
			*field = value
		}
	}
	return o
}

// Plan is what the way from one fleet to another does.
type Plan struct {
	// Base and Head are the compared revisions; empty for a folder of files.
	Base    schema.Revision `json:"base,omitempty"`
	Head    schema.Revision `json:"head,omitempty"`
	Summary Summary         `json:"summary"`
	// Cautions are those of the change as a whole.
	Cautions []Caution `json:"cautions,omitempty"`
	// Changes are ordered: the platform, SSH keys, then space by space, and last what only the platform causes.
	Changes []Change `json:"changes,omitempty"`
	Quotas  []Quota  `json:"quotas,omitempty"`
	// Findings are those that the change adds.
	Findings schema.Findings `json:"findings,omitempty"`
	// Live is what a cluster says; nil when none was asked.
	Live *Live `json:"live,omitempty"`
	// Cut says in sentences what was left out.
	Cut []string `json:"cut,omitempty"`
}

// Summary counts everything, also what Plan.Cut left out.
type Summary struct {
	Create int `json:"create"`
	Change int `json:"change"`
	Delete int `json:"delete"`
	// Affected are the containers that change through the platform alone.
	Affected int `json:"affected"`
	// Cautions counts by name.
	Cautions map[string]int `json:"cautions,omitempty"`
}

// Cause says why something changes.
type Cause string

const (
	// CausePlatform means that its own documents say what they said before.
	CausePlatform Cause = "platform"
	// CauseContents means that a space's own objects follow what lies in it. The
	// summary doesn't count it.
	CauseContents Cause = "contents"
)

// Change is what becomes of one thing.
type Change struct {
	Action schema.Action `json:"action"`
	Kind   schema.Kind   `json:"kind"`
	// ID is as in schema.Change.
	ID string `json:"id,omitempty"`
	// Position is that of the newer document, or of the one that is gone.
	schema.Position
	Cause    Cause     `json:"cause,omitempty"`
	Cautions []Caution `json:"cautions,omitempty"`
	// Fields are what the documents say otherwise, defaults filled in; for a deletion none.
	Fields  []Field  `json:"fields,omitempty"`
	Objects []Object `json:"objects,omitempty"`
	// MoreFields counts those that were left out.
	MoreFields int `json:"moreFields,omitempty"`
	// Space is where it lies; zero for the platform and keys.
	Space schema.SpaceID `json:"-"`
}

// String is the change in words, such as "change container alice--web".
func (c Change) String() string {
	if c.ID == "" {
		return string(c.Action) + " " + kindWords[c.Kind]
	}
	return string(c.Action) + " " + kindWords[c.Kind] + " " + c.ID
}

var kindWords = map[schema.Kind]string{ //nolint:gochecknoglobals // a table
	schema.KindContainer: "container",
	schema.KindVolume:    "volume",
	schema.KindSpace:     "space",
	schema.KindSSHKey:    "SSH key",
	schema.KindPlatform:  "platform",
}

// level is the highest of its cautions' levels.
func (c *Change) level() Level {
	highest := Level("")
	for _, caution := range c.Cautions {
		if caution.Level.rank() > highest.rank() {
			highest = caution.Level
		}
	}
	return highest
}

// Field is one value that differs.
type Field struct {
	Action schema.Action `json:"action"`
	// Path is dotted, with the entries of lists by their names: spec.env[DEBUG].value.
	Path string `json:"path"`
	// Before and After are texts as they are and everything else as JSON; hidden or shortened they say so.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Object is one Kubernetes object that differs.
type Object struct {
	Action    schema.Action `json:"action"`
	Kind      string        `json:"kind"`
	Namespace string        `json:"namespace,omitempty"`
	Name      string        `json:"name"`
	// Diff is the difference of its YAML in unified form, without file names; empty for a deletion.
	Diff string `json:"diff,omitempty"`
	// Cut is how many lines of Diff were left out.
	Cut int `json:"cut,omitempty"`
}

// Live is what a cluster says of the objects of the spaces that change.
type Live struct {
	Trials []Trial `json:"trials,omitempty"`
	// Untried says in sentences what couldn't be tried.
	Untried []string `json:"untried,omitempty"`
}

// Trial is what a cluster says of one object.
type Trial struct {
	// Object is as in Deployment/compute-alice--web/web.
	Object string `json:"object"`
	// Refused is why the API server would not take it.
	Refused string `json:"refused,omitempty"`
	// Replaced is the field for which it would be deleted and made anew.
	Replaced string `json:"replaced,omitempty"`
	// Changes are what would differ of what is there, and Defaults what the API
	// server would fill into what is new.
	Changes  []Field `json:"changes,omitempty"`
	Defaults []Field `json:"defaults,omitempty"`
	// Drift is what is there otherwise than the base says.
	Drift []Field `json:"drift,omitempty"`
}

// Refused says that the cluster would not take something.
func (l *Live) Refused() bool {
	return l != nil && slices.ContainsFunc(l.Trials, func(t Trial) bool { return t.Refused != "" })
}

// Empty says that nothing differs.
func (p *Plan) Empty() bool {
	return p.Summary.Create+p.Summary.Change+p.Summary.Delete+p.Summary.Affected == 0 && len(p.Changes) == 0
}

// All returns every caution of the plan, the gravest first.
func (p *Plan) All() []Caution {
	all := slices.Clone(p.Cautions)
	for _, c := range p.Changes {
		all = append(all, c.Cautions...)
	}
	slices.SortStableFunc(all, func(a, b Caution) int { return b.Level.rank() - a.Level.rank() })
	return all
}

// Spaces lists the spaces that something of changes, in order.
func (p *Plan) Spaces() []schema.SpaceID {
	var ids []schema.SpaceID
	for _, c := range p.Changes {
		if c.Space != (schema.SpaceID{}) {
			ids = append(ids, c.Space)
		}
	}
	slices.SortFunc(ids, schema.SpaceID.Compare)
	return slices.Compact(ids)
}
