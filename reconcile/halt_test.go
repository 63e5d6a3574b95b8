package reconcile

import (
	"fmt"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// asking is a question about deleting so many spaces, of one container each.
func asking(n, existing int, change ...func(*question)) question {
	q := question{head: "head", base: "base", existing: tally{existing, existing}, asked: newDeletions()}
	q.history.Descends = true
	for i := range n {
		id := schema.SpaceID{User: "alice", Name: fmt.Sprintf("s%03d", i)}
		q.asked.spaces[id] = struct{}{}
		q.asked.containers[schema.ContainerID{Space: id, Name: "web"}] = struct{}{}
	}
	for _, c := range change {
		c(&q)
	}
	return q
}

func allowing(values ...string) func(*question) {
	return func(q *question) {
		q.history.Commits = append(q.history.Commits, schema.Commit{
			Trailers: map[string][]string{TrailerAllowMassDelete: values},
		})
	}
}

func rewritten(q *question) { q.history.Descends = false }

func emptied(q *question) { q.empty = true }

func confirmed(r schema.Revision) func(*question) {
	return func(q *question) { q.state.Confirmed = r }
}

func halted(h Halt) func(*question) {
	return func(q *question) { q.state.Halt = &h }
}

func moreContainers(n, existing int) func(*question) {
	return func(q *question) {
		for i := range n {
			q.asked.containers[schema.ContainerID{Space: schema.SpaceID{User: "bobby", Name: "shop"}, Name: fmt.Sprintf("c%d", i)}] = struct{}{}
		}
		q.existing.containers = existing
	}
}

func TestDeletionNeedsAReasonRules(t *testing.T) {
	for name, test := range map[string]struct {
		q    question
		want string
	}{
		"nothing to delete":                     {asking(0, 100), ""},
		"five of few":                           {asking(5, 5), ""},
		"six of six":                            {asking(6, 6), ReasonMassDelete},
		"six of fifty":                          {asking(6, 50), ReasonMassDelete},
		"six of fifty-nine":                     {asking(6, 59), ReasonMassDelete},
		"six of sixty":                          {asking(6, 60), ""},
		"ten per cent":                          {asking(100, 1000), ""},
		"more than ten per cent":                {asking(101, 1000), ReasonMassDelete},
		"too many containers of few spaces":     {asking(0, 100, moreContainers(11, 100)), ReasonMassDelete},
		"as many containers as may go":          {asking(0, 100, moreContainers(10, 100)), ""},
		"allowed by a trailer":                  {asking(50, 100, allowing("50")), ""},
		"allowed by one of several trailers":    {asking(50, 100, allowing("1", "60")), ""},
		"allowed by an older commit":            {asking(50, 100, allowing(), allowing("50")), ""},
		"a trailer with too small a number":     {asking(50, 100, allowing("49")), ReasonMassDelete},
		"a trailer counts containers too":       {asking(2, 100, moreContainers(48, 100), allowing("49")), ReasonMassDelete},
		"a trailer that is no number":           {asking(50, 100, allowing("all", "-1", "")), ReasonMassDelete},
		"confirmed":                             {asking(50, 100, confirmed("head")), ""},
		"another revision confirmed":            {asking(50, 100, confirmed("other")), ReasonMassDelete},
		"repository emptied":                    {asking(2, 2, emptied), ReasonRepositoryEmpty},
		"only space gone":                       {asking(1, 1, emptied), ""},
		"repository emptied with a trailer":     {asking(2, 2, emptied, allowing("2")), ""},
		"repository emptied and confirmed":      {asking(2, 2, emptied, confirmed("head")), ""},
		"empty from the beginning":              {asking(0, 0, emptied), ""},
		"history rewritten, nothing to delete":  {asking(0, 100, rewritten), ReasonHistoryRewritten},
		"history rewritten with a trailer":      {asking(50, 100, rewritten, allowing("50")), ReasonHistoryRewritten},
		"history rewritten and confirmed":       {asking(50, 100, rewritten, confirmed("head")), ""},
		"history rewritten, another confirmed":  {asking(0, 100, rewritten, confirmed("other")), ReasonHistoryRewritten},
		"halted before a restart":               {asking(6, 1000, halted(Halt{Reason: ReasonMassDelete, Revision: "head"})), ReasonMassDelete},
		"halted before, confirmed since":        {asking(6, 1000, halted(Halt{Reason: ReasonMassDelete, Revision: "head"}), confirmed("head")), ""},
		"halted at another revision":            {asking(6, 1000, halted(Halt{Reason: ReasonMassDelete, Revision: "old", Spaces: 5, Containers: 5})), ReasonMassDelete},
		"halted, then most files are back":      {asking(5, 1000, halted(Halt{Reason: ReasonMassDelete, Revision: "old", Spaces: 5, Containers: 5})), ""},
		"halted, then a trailer":                {asking(6, 50, halted(Halt{Reason: ReasonMassDelete, Revision: "old"}), allowing("6")), ""},
		"history was rewritten, and is back":    {asking(5, 50, halted(Halt{Reason: ReasonHistoryRewritten, Revision: "old"})), ""},
		"history is back at the halted head":    {asking(0, 50, halted(Halt{Reason: ReasonHistoryRewritten, Revision: "head"})), ""},
		"a rewritten history limits nothing":    {asking(50, 1000, halted(Halt{Reason: ReasonHistoryRewritten, Revision: "old"})), ""},
		"an empty confirmation confirms nobody": {asking(6, 6, confirmed(""), func(q *question) { q.head = "" }), ReasonMassDelete},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if halt := judge(test.q); halt != nil {
				got = halt.Reason
			}
			if got != test.want {
				t.Errorf("judge: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestHaltSaysHowToGoOn(t *testing.T) {
	halt := judge(asking(2, 40, moreContainers(10, 90)))
	if halt == nil {
		t.Fatal("judge: got no halt")
	}
	for _, want := range []string{"2 of 40 spaces", "12 of 90 containers", "Allow-Mass-Delete: 12", "bay sync --confirm head"} {
		if !strings.Contains(halt.Message, want) {
			t.Errorf("message: got %q, want it to contain %q", halt.Message, want)
		}
	}
	if got, want := halt.Pending[0], "alice--s000"; got != want {
		t.Errorf("first pending: got %q, want %q", got, want)
	}
	if got, want := len(halt.Pending), 12; got != want {
		t.Errorf("pending: got %d names %q, want %d: containers of pending spaces go without saying", got, halt.Pending, want)
	}

	halt = judge(asking(3, 40, rewritten))
	if halt == nil {
		t.Fatal("judge: got no halt")
	}
	for _, want := range []string{"does not descend from base", "3 spaces and 3 containers", "bay sync --confirm head"} {
		if !strings.Contains(halt.Message, want) {
			t.Errorf("message: got %q, want it to contain %q", halt.Message, want)
		}
	}
	if strings.Contains(halt.Message, TrailerAllowMassDelete) {
		t.Errorf("message: got %q, want no trailer, because none helps", halt.Message)
	}
}

func TestHaltIsBounded(t *testing.T) {
	halt := judge(asking(20_000, 20_000))
	if got := len(halt.Pending); got != maxPending {
		t.Errorf("pending: got %d names, want %d", got, maxPending)
	}
}

func TestAbsence(t *testing.T) {
	id := schema.SpaceID{User: "alice", Name: "shop"}
	deployed := map[string]LiveContainer{"api": {Deployed: true}, "db": {Deployed: true}, "old": {}}
	live := Live{Namespace: NamespaceOwned, Containers: deployed}
	fleet := func(change func(*schema.Fleet)) *schema.Fleet {
		f := load(commit{files: fleetOf("alice--shop--api")}, "head")
		change(f)
		return f
	}
	finding := func(file string) func(*schema.Fleet) {
		return func(f *schema.Fleet) {
			delete(f.Spaces, id.User)
			f.Findings = schema.Findings{{Position: schema.Position{File: file}, Severity: schema.SeverityError}}
		}
	}
	gone := func(f *schema.Fleet) { delete(f.Spaces, id.User) }
	in := func(ns NamespaceState) Live { return Live{Namespace: ns, Containers: deployed} }
	waiting := Live{Namespace: NamespaceOwned, Volumes: map[string]LiveVolume{"data": {DeleteAfter: anyTime}}}
	for name, test := range map[string]struct {
		fleet *schema.Fleet
		live  Live
		want  tally
	}{
		"container without a file":             {fleet(func(*schema.Fleet) {}), live, tally{0, 1}},
		"space without a folder":               {fleet(gone), live, tally{1, 2}},
		"frozen space":                         {fleet(func(f *schema.Fleet) { f.Spaces.Get(id).Frozen = true }), live, tally{}},
		"unreadable file in the missing space": {fleet(finding("users/alice/shop/x.yaml")), live, tally{}},
		"unreadable folder of the space":       {fleet(finding("users/alice/shop")), live, tally{}},
		"unreadable folder of the user":        {fleet(finding("users/alice")), live, tally{}},
		"unreadable folder of all users":       {fleet(finding("users")), live, tally{}},
		"unreadable folder of another user":    {fleet(finding("users/bobby")), live, tally{1, 2}},
		"unreadable folder of a longer name":   {fleet(finding("users/alice/shopping")), live, tally{1, 2}},
		"foreign namespace":                    {fleet(gone), in(NamespaceForeign), tally{}},
		"no namespace":                         {fleet(gone), in(NamespaceAbsent), tally{}},
		"namespace on its way out":             {fleet(gone), in(NamespaceTerminating), tally{}},
		"space that waits for its volumes":     {fleet(gone), waiting, tally{}},
		"empty space without a folder":         {fleet(gone), Live{Namespace: NamespaceOwned}, tally{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			got := absence(test.fleet, findPlaces(test.fleet.Findings), id, test.live).tally()
			if got != test.want {
				t.Errorf("absence: got %v, want %v", got, test.want)
			}
		})
	}
}
