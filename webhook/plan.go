package webhook

import "bayplan.dev/schema"

// Plan is what a change does, in words: what is created, changed and deleted,
// what that means, and which objects of the cluster differ behind it. It shows
// no values that may be secret.
type Plan struct {
	Summary PlanSummary `json:"summary"`
	// Cautions are those of the change as a whole.
	Cautions []Caution     `json:"cautions,omitempty" nullable:"false"`
	Changes  []PlanChange  `json:"changes,omitempty" nullable:"false"`
	Quotas   []QuotaChange `json:"quotas,omitempty" nullable:"false"`
	// Findings are the warnings that it adds; errors would have refused it.
	Findings []schema.Finding `json:"findings,omitempty" nullable:"false" doc:"The warnings that the change adds."`
	Cut      []string         `json:"cut,omitempty" nullable:"false" doc:"What was left out, in sentences."`
}

// PlanSummary counts everything, also what Plan.Cut left out.
type PlanSummary struct {
	Create   int            `json:"create"`
	Change   int            `json:"change"`
	Delete   int            `json:"delete"`
	Cautions map[string]int `json:"cautions,omitempty" doc:"How often each caution is raised, by its name."`
}

// Caution is one thing to know before a change is made.
type Caution struct {
	Name  string `json:"name" doc:"Stable, such as new-public-host."`
	Level string `json:"level" enum:"danger,caution,note" doc:"A danger loses data or opens something to strangers, a caution wants a second look, a note says what will be felt."`
	schema.Position
	Message string `json:"message"`
}

// PlanChange is what becomes of one thing.
type PlanChange struct {
	Action schema.Action `json:"action" enum:"create,change,delete"`
	Kind   schema.Kind   `json:"kind"`
	ID     string        `json:"id,omitempty"`
	schema.Position
	Cause      string         `json:"cause,omitempty" doc:"contents: a space's own objects follow what lies in it."`
	Cautions   []Caution      `json:"cautions,omitempty" nullable:"false"`
	Fields     []FieldChange  `json:"fields,omitempty" nullable:"false"`
	MoreFields int            `json:"more_fields,omitempty" doc:"How many more fields differ."`
	Objects    []ObjectChange `json:"objects,omitempty" nullable:"false"`
}

// FieldChange is one value that differs.
type FieldChange struct {
	Action schema.Action `json:"action" enum:"create,change,delete"`
	Path   string        `json:"path" doc:"Dotted, the entries of lists by their names: spec.env[DEBUG].value."`
	Before string        `json:"before,omitempty" doc:"Texts as they are, everything else as JSON; what may be secret is (hidden)."`
	After  string        `json:"after,omitempty"`
}

// ObjectChange is one Kubernetes object that differs.
type ObjectChange struct {
	Action    schema.Action `json:"action" enum:"create,change,delete"`
	Kind      string        `json:"kind"`
	Namespace string        `json:"namespace,omitempty"`
	Name      string        `json:"name"`
	Diff      string        `json:"diff,omitempty" doc:"The difference of its YAML in unified form; empty for a deletion."`
	Cut       int           `json:"cut,omitempty" doc:"How many lines of diff were left out."`
}

// QuotaChange is what a user has of what the platform allows, before and after.
type QuotaChange struct {
	User schema.User      `json:"user"`
	Rows []QuotaChangeRow `json:"rows" nullable:"false"`
}

// QuotaChangeRow is one of the things that are limited.
type QuotaChangeRow struct {
	What   string `json:"what" enum:"containers,cpu,memory,storage"`
	Before string `json:"before"`
	After  string `json:"after"`
	Limit  string `json:"limit,omitempty" doc:"Absent where nothing limits it."`
	Over   bool   `json:"over,omitempty"`
}
