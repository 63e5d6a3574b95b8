package review

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
)

// Quota is what a user has of what the platform allows, before and after.
type Quota struct {
	User schema.User `json:"user"`
	// Rows are containers, cpu, memory and storage.
	Rows []QuotaRow `json:"rows"`
}

// QuotaRow is one of the things that are limited. Limit is empty where nothing is.
type QuotaRow struct {
	What   string `json:"what"`
	Before string `json:"before"`
	After  string `json:"after"`
	Limit  string `json:"limit,omitempty"`
	// WasLimit is the limit before, where it was another one; "none" for no limit.
	WasLimit string `json:"wasLimit,omitempty"`
	// Over says that more is asked for than the limit allows.
	Over bool `json:"over,omitempty"`
}

// maxQuotas bounds the users whose quota is shown.
const maxQuotas = 100

// usage adds up what a user's containers and volumes ask for, in the order of
// limitsOf; stopped containers count.
func usage(spaces []*schema.Space) []resource.Quantity {
	containers := 0
	var cpu, memory, storage resource.Quantity
	for _, space := range spaces {
		containers += len(space.Containers)
		for _, c := range space.Containers {
			limits := c.Spec.Resources.Limits
			cpu.Add(limits[corev1.ResourceCPU])
			memory.Add(limits[corev1.ResourceMemory])
		}
		for _, v := range space.Volumes {
			storage.Add(v.Spec.Size)
		}
	}
	return []resource.Quantity{*resource.NewQuantity(int64(containers), resource.DecimalSI), cpu, memory, storage}
}

// limitsOf are the user's limits, nil where there is none.
func limitsOf(f *schema.Fleet, u schema.User) []*resource.Quantity {
	limit := f.Platform.Spec.Limits.Of(u)
	var containers *resource.Quantity
	if limit.Containers != nil {
		containers = resource.NewQuantity(int64(*limit.Containers), resource.DecimalSI)
	}
	return []*resource.Quantity{containers, limit.CPU, limit.Memory, limit.Storage}
}

// quotas compares what users have, for those of whom something has changed and
// all whose limits have.
func (c *comparison) quotas() {
	if c.base.fleet.Platform.Digest != c.head.fleet.Platform.Digest {
		for user := range c.head.spaces() {
			c.users[user] = true
		}
	}
	for _, user := range slices.Sorted(maps.Keys(c.users)) {
		q, differs := c.quota(user)
		if !differs {
			continue
		}
		for _, row := range q.Rows {
			if row.Over {
				c.note(warn(QuotaOver, c.at(user), fmt.Sprintf("%s asks for %s of %s and may have %s", user, row.After, row.What, row.Limit)))
			}
		}
		c.plan.Quotas = append(c.plan.Quotas, q)
	}
	if more := len(c.plan.Quotas) - maxQuotas; more > 0 {
		slices.SortStableFunc(c.plan.Quotas, func(a, b Quota) int { return b.over() - a.over() })
		c.plan.Quotas = c.plan.Quotas[:maxQuotas]
		c.say("the quotas of %d more users are left out", more)
	}
}

func (q Quota) over() int {
	n := 0
	for _, row := range q.Rows {
		if row.Over {
			n++
		}
	}
	return n
}

// at is where the user's folder is.
func (c *comparison) at(user schema.User) schema.Position {
	return schema.Position{File: "users/" + string(user)}
}

func (c *comparison) quota(user schema.User) (Quota, bool) {
	before, after := usage(c.base.spaces()[user]), usage(c.head.spaces()[user])
	was, now := limitsOf(c.base.fleet, user), limitsOf(c.head.fleet, user)
	q := Quota{User: user}
	differs := false
	for i, what := range []string{"containers", "cpu", "memory", "storage"} {
		row := QuotaRow{What: what, Before: before[i].String(), After: after[i].String(), Limit: limitText(now[i])}
		if limitText(was[i]) != row.Limit {
			if row.WasLimit = limitText(was[i]); row.WasLimit == "" {
				row.WasLimit = "none"
			}
		}
		moved := before[i].Cmp(after[i]) != 0 || row.WasLimit != ""
		row.Over = moved && now[i] != nil && after[i].Cmp(*now[i]) > 0
		differs = differs || moved
		q.Rows = append(q.Rows, row)
	}
	return q, differs
}

func limitText(q *resource.Quantity) string {
	if q == nil {
		return ""
	}
	return q.String()
}
