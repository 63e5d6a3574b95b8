package main

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/console"
	"bayplan.dev/review"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

const (
	// Bounds of what a dry run tells: one call changes one thing.
	planChanges     = 50
	planObjectBytes = 256 << 10
)

// consoleOptions adds the web page, and what it shows besides status.
func (s *server) consoleOptions(o *webhook.Options) error {
	page, err := console.New()
	if err != nil {
		return err
	}
	o.Console = page
	o.Plan, o.Fields, o.Objects, o.Confirm = s.plan, fieldChanges, s.objects, s.cluster.Confirm
	return nil
}

// plan reviews what a call would change. It looks at nothing but the user's own
// spaces: so it costs little, and tells nothing of what others have.
func (s *server) plan(ctx context.Context, user schema.User, t webhook.Trial) (*webhook.Plan, error) {
	before, err := s.check.loader.Load(ctx, t.Before)
	if err != nil {
		return nil, err
	}
	after, err := s.check.loader.Load(ctx, t.After)
	if err != nil {
		return nil, err
	}
	p, err := review.Compare(ctx, only(before, user), only(after, user), review.Options{
		Render: s.check.renderer.Space, MaxChanges: planChanges, MaxObjects: planObjectBytes,
	})
	if err != nil {
		return nil, err
	}
	return viewPlan(p), nil
}

// only is the fleet with the spaces of one user.
func only(f *schema.Fleet, user schema.User) *schema.Fleet {
	part := *f
	part.Spaces = schema.Spaces{user: f.Spaces[user]}
	part.Keys = map[schema.User][]*schema.SSHKey{user: f.Keys[user]}
	return &part
}

// viewPlan is a plan as the API tells it.
func viewPlan(p *review.Plan) *webhook.Plan {
	v := &webhook.Plan{
		Summary: webhook.PlanSummary{
			Create: p.Summary.Create, Change: p.Summary.Change, Delete: p.Summary.Delete, Cautions: p.Summary.Cautions,
		},
		Cautions: viewCautions(p.Cautions), Findings: p.Findings, Cut: p.Cut,
	}
	// What came from where before is only known of the user's own containers.
	delete(v.Summary.Cautions, review.ImageRegistryNew)
	for _, c := range p.Changes {
		v.Changes = append(v.Changes, webhook.PlanChange{
			Action: c.Action, Kind: c.Kind, ID: c.ID, Position: c.Position, Cause: string(c.Cause),
			Cautions: viewCautions(c.Cautions), Fields: viewFields(c.Fields), MoreFields: c.MoreFields, Objects: viewObjects(c.Objects),
		})
	}
	for _, q := range p.Quotas {
		quota := webhook.QuotaChange{User: q.User, Rows: make([]webhook.QuotaChangeRow, len(q.Rows))}
		for i, r := range q.Rows {
			quota.Rows[i] = webhook.QuotaChangeRow{What: r.What, Before: r.Before, After: r.After, Limit: r.Limit, Over: r.Over}
		}
		v.Quotas = append(v.Quotas, quota)
	}
	return v
}

func viewCautions(all []review.Caution) []webhook.Caution {
	var out []webhook.Caution
	for _, c := range all {
		if c.Name != review.ImageRegistryNew {
			out = append(out, webhook.Caution{Name: c.Name, Level: string(c.Level), Position: c.Position, Message: c.Message})
		}
	}
	return out
}

func viewFields(fields []review.Field) []webhook.FieldChange {
	var out []webhook.FieldChange
	for _, f := range fields {
		out = append(out, webhook.FieldChange(f))
	}
	return out
}

func viewObjects(objects []review.Object) []webhook.ObjectChange {
	var out []webhook.ObjectChange
	for _, o := range objects {
		out = append(out, webhook.ObjectChange(o))
	}
	return out
}

// fieldChanges compares two specs; secrets in them are hidden.
func fieldChanges(before, after map[string]any) ([]webhook.FieldChange, int) {
	below := func(spec map[string]any) any {
		if spec == nil {
			return nil
		}
		return map[string]any{"spec": spec}
	}
	fields, more := review.Fields(below(before), below(after), review.Options{})
	return viewFields(fields), more
}

// objects renders a space as the loop does and hides its secrets.
func (s *server) objects(fleet *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	rendered, err := s.check.renderer.Space(fleet, id)
	if err != nil {
		return nil, err
	}
	veiled := make([]*unstructured.Unstructured, len(rendered))
	for i, o := range rendered {
		veiled[i] = review.Veil(o)
	}
	return veiled, nil
}
