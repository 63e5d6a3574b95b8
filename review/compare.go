package review

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
)

// spaceBatch is how many spaces are compared side by side before what they hold
// is cut to its bounds.
const spaceBatch = 128

// Compare returns what the way from base to head does. Base may be nil, which
// is an empty fleet. It only fails as ctx ends, and with Invalid without a head:
// whatever is wrong with the fleets is told in the plan.
func Compare(ctx context.Context, base, head *schema.Fleet, o Options) (*Plan, error) {
	if head == nil {
		return nil, schema.Errorf(schema.Invalid, "compare fleets: there is no head; load one")
	}
	if base == nil {
		base = &schema.Fleet{Platform: &schema.Platform{Spec: head.Platform.Spec, Digest: head.Platform.Digest}}
	}
	c := &comparison{options: o.withDefaults(), base: newSide(base), head: newSide(head), plan: &Plan{Base: base.Revision, Head: head.Revision}}
	c.plan.Summary.Cautions = map[string]int{}
	c.platform()
	c.keys()
	if err := c.spaces(ctx); err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", revision(base), revision(head), err)
	}
	c.quotas()
	c.massDelete()
	c.findings()
	c.finish()
	return c.plan, nil
}

func revision(f *schema.Fleet) string { return cmp.Or(f.Revision.Short(), "the files") }

// comparison is one Compare.
type comparison struct {
	options    Options
	base, head *side
	plan       *Plan
	changes    []Change
	// affected are the changes that only the platform causes, as many as are described.
	affected []Change
	// reach tells, for each caution, what the platform's change makes it true of.
	reach map[string]*reach
	// refused are the findings of rendering.
	refused schema.Findings
	// users are those whose quota may have moved.
	users map[schema.User]bool
	// objects counts the bytes of objects that the plan holds.
	objects, cutObjects int
	unrendered          int
}

// reach collects what the platform's change makes a caution true of.
type reach struct {
	count int
	first []string
}

// reachShown is how many are named.
const reachShown = 5

// spaces compares every space whose digest differs.
func (c *comparison) spaces(ctx context.Context) error {
	c.users, c.reach = map[schema.User]bool{}, map[string]*reach{}
	var ids []schema.SpaceID
	for id, now := range c.head.fleet.Spaces.All() {
		if was := c.base.fleet.Spaces.Get(id); was == nil || was.Digest != now.Digest || was.Frozen != now.Frozen {
			ids = append(ids, id)
		}
	}
	for id := range c.base.fleet.Spaces.All() {
		if c.head.fleet.Spaces.Get(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, schema.SpaceID.Compare)
	rendered := 0
	for batch := range slices.Chunk(ids, spaceBatch) {
		found := make([]spaceChanges, len(batch))
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for i, id := range batch {
			render := rendered < c.options.MaxSpaces
			rendered++
			group.Go(func() (err error) {
				defer func() {
					// A panic here would pass by whoever guards the comparison.
					if what := recover(); what != nil {
						err = schema.Errorf(schema.Internal, "compare %s: panic: %v\n%s", id, what, debug.Stack())
					}
				}()
				if ctx.Err() == nil {
					found[i] = c.space(id, render)
				}
				return ctx.Err()
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for i, id := range batch {
			c.take(id, found[i])
		}
	}
	c.unrendered = max(0, rendered-c.options.MaxSpaces)
	return nil
}

// take enters what was found of a space, in the order of spaces.
func (c *comparison) take(id schema.SpaceID, found spaceChanges) {
	c.users[id.User] = true
	c.refused = append(c.refused, found.refused...)
	for _, change := range found.changes {
		c.count(change)
		switch {
		case change.Cause != CausePlatform:
			c.bound(&change)
			c.changes = append(c.changes, change)
		case len(c.affected) < c.options.MaxAffected:
			c.bound(&change)
			c.affected = append(c.affected, change)
		}
	}
}

// count adds a change to what the summary says.
func (c *comparison) count(change Change) {
	s := &c.plan.Summary
	switch {
	case change.Cause == CausePlatform:
		if change.Kind == schema.KindContainer {
			s.Affected++
		}
	case change.Cause == CauseContents:
	case change.Action == schema.ActionCreate:
		s.Create++
	case change.Action == schema.ActionDelete:
		s.Delete++
	default:
		s.Change++
	}
	for _, caution := range change.Cautions {
		s.Cautions[caution.Name]++
		if change.Cause != CausePlatform {
			continue
		}
		r := c.reach[caution.Name]
		if r == nil {
			r = &reach{}
			c.reach[caution.Name] = r
		}
		if r.count++; len(r.first) < reachShown && !slices.Contains(r.first, change.ID) {
			r.first = append(r.first, change.ID)
		}
	}
}

// bound drops the differences of objects that are too much for one plan.
func (c *comparison) bound(change *Change) {
	for i := range change.Objects {
		o := &change.Objects[i]
		if c.objects+len(o.Diff) > c.options.MaxObjects {
			o.Diff, o.Cut = "", 0
			c.cutObjects++
			continue
		}
		c.objects += len(o.Diff)
	}
}

// findings are those that the change adds.
func (c *comparison) findings() {
	found := c.head.fleet.Findings.New(c.base.fleet.Findings)
	found = append(found, schema.Shrinks(c.base.fleet, c.head.fleet)...)
	found = append(found, c.refused...)
	found.Sort()
	c.plan.Findings = found
}

// finish orders the changes, cuts them to their bounds and says so.
func (c *comparison) finish() {
	c.summarise()
	all := append(c.changes, c.affected...)
	// What matters most is kept: the platform, then the gravest.
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(b.level().rank(), a.level().rank()))
	})
	if more := len(all) - c.options.MaxChanges; more > 0 {
		all = all[:c.options.MaxChanges]
		c.say("%d changes are counted and not described", more)
	}
	order := []schema.Kind{schema.KindPlatform, schema.KindSSHKey, schema.KindSpace, schema.KindVolume, schema.KindContainer}
	slices.SortStableFunc(all, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(first(a), first(b)),
			cmp.Compare(through(a), through(b)),
			a.Space.Compare(b.Space),
			cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)),
			cmp.Compare(a.ID, b.ID))
	})
	c.plan.Changes = all
	if more := c.plan.Summary.Affected - countContainers(c.affected); more > 0 {
		c.say("%d more containers change through the platform", more)
	}
	if c.cutObjects > 0 {
		c.say("the differences of %d objects are left out, because all together are larger than %d bytes", c.cutObjects, c.options.MaxObjects)
	}
	if c.unrendered > 0 {
		c.say("%d spaces were not rendered: restarts and network rules of theirs aren't known", c.unrendered)
	}
}

func (c *comparison) say(format string, args ...any) {
	c.plan.Cut = append(c.plan.Cut, fmt.Sprintf(format, args...))
}

func first(c Change) int {
	if c.Kind == schema.KindPlatform {
		return 0
	}
	return 1
}

// through is 1 for what only the platform causes.
func through(c Change) int {
	if c.Cause == CausePlatform {
		return 1
	}
	return 0
}

func countContainers(changes []Change) int {
	n := 0
	for _, c := range changes {
		if c.Kind == schema.KindContainer {
			n++
		}
	}
	return n
}

// note adds a caution of the change as a whole.
func (c *comparison) note(caution Caution) {
	c.plan.Cautions = append(c.plan.Cautions, caution)
	c.plan.Summary.Cautions[caution.Name]++
}
