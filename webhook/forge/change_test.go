package forge

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const messageOfCommit = `Stop container alice--web\n\nOperation: op\nbayplan-target: Container alice--web\n`

const listed = `[{"sha":"3333","commit":{"author":{"name":"reviewer","email":"r@x","date":"2026-01-02T00:00:00Z"},"committer":{"name":"r","email":"r@x","date":"2026-01-02T00:00:00Z"},"message":"Mend it"}},
 {"sha":"1111","commit":{"author":{"name":"alice.console","email":"a@x","date":"2026-01-01T00:00:00Z"},"committer":{"name":"bayplan","email":"b@x","date":"2026-01-01T01:00:00+01:00"},"message":"` + messageOfCommit + `"},"author":null,"parents":[]}]`

// The lists of commits as each forge has them.
var lists = map[Kind]struct{ path, answer string }{
	GitHub: {"/api/v3/repos/team/fleet/pulls/7/commits?per_page=50", listed},
	Gitea:  {"/api/v1/repos/team/fleet/pulls/7/commits?files=false&verification=false&limit=50", listed},
	GitLab: {
		"/api/v4/projects/group%2Fsub%2Ffleet/merge_requests/7/commits?per_page=50",
		`[{"id":"3333","short_id":"33","message":"Mend it","author_name":"reviewer","author_email":"r@x","committed_date":"2026-01-02T00:00:00.000+00:00"},
 {"id":"1111","message":"` + messageOfCommit + `","author_name":"alice.console","author_email":"a@x","authored_date":"2026-01-01T00:00:00.000Z","committed_date":"2026-01-01T01:00:00.000+01:00"}]`,
	},
}

func TestChange(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := Change{
		URL: page, Merged: true, Revision: "2222",
		Commits: []schema.Commit{
			{Revision: "3333", Author: "reviewer <r@x>", Time: day.AddDate(0, 0, 1), Subject: "Mend it"},
			{
				Revision: "1111", Author: "alice.console <a@x>", Time: day, Subject: "Stop container alice--web",
				Trailers: map[string][]string{"Operation": {"op"}, "Bayplan-Target": {"Container alice--web"}},
			},
		},
	}
	for _, f := range flavors {
		t.Run(string(f.kind), func(t *testing.T) {
			number := `{"number":7,`
			if f.kind == GitLab {
				number = `{"iid":7,`
			}
			find := exchange{Method: http.MethodGet, URL: f.find, header: f.header, status: 200, answer: f.list(number + f.merged[1:])}
			list := exchange{Method: http.MethodGet, URL: lists[f.kind].path, header: f.header, status: 200, answer: lists[f.kind].answer}
			none, lost := f.none, list
			none.Method, none.URL = http.MethodGet, f.find
			lost.status, lost.answer = 502, ""
			forge := open(t, f.kind, dialogue(t, find, list, none, find, lost)+f.base, f.repository)
			got, ok, err := forge.Change(t.Context(), "bayplan/op")
			if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
				t.Errorf("%v %v (-want +got):\n%s", ok, err, diff)
			}
			if _, ok, err := forge.Change(t.Context(), "bayplan/op"); ok || err != nil {
				t.Errorf("none: got %v %v", ok, err)
			}
			if _, ok, err := forge.Change(t.Context(), "bayplan/op"); ok || schema.CodeOf(err) != schema.Unavailable {
				t.Errorf("lost: got %v %v", ok, err)
			}
		})
	}
}
