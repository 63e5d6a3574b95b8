package forge

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

const (
	marker = "<!-- bayplan:plan -->"
	mine   = 41
)

// said is a comment in the forge's words.
func (f reviewFlavor) saidIn(id, author int, body string) string {
	return fmt.Sprintf(f.comment, id, author, body)
}

func at(url string, n int) string { return strings.Replace(url, "#", strconv.Itoa(n), 1) }

func (f reviewFlavor) list(n int, comments ...string) exchange {
	return f.get(at(f.comments, n), "["+strings.Join(comments, ",")+"]")
}

// writing answers who the token is and what there is, and then takes what is written.
func (f reviewFlavor) writing(comments []string, then ...exchange) []exchange {
	return append([]exchange{f.get(f.user, f.me), f.list(1, comments...)}, then...)
}

func (f reviewFlavor) add(body string) exchange {
	url, _, _ := strings.Cut(f.comments, "?")
	return f.send(http.MethodPost, url, map[string]any{"body": body})
}

func (f reviewFlavor) change(id int, body string) exchange {
	return f.send(f.editing, at(f.edit, id), map[string]any{"body": body})
}

func (f reviewFlavor) remove(id int) exchange {
	e := f.send(http.MethodDelete, at(f.edit, id), nil)
	e.status, e.answer = http.StatusNoContent, ""
	return e
}

func TestComment(t *testing.T) {
	const body = marker + "\nnew\n"
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			gone := f.change(5, body)
			gone.status, gone.answer = 404, `{"message":"Not Found"}`
			lost := f.remove(6)
			lost.status, lost.answer = 404, `{"message":"Not Found"}`
			for name, exchanges := range map[string][]exchange{
				"none":                           f.writing(nil, f.add(body)),
				"ours":                           f.writing([]string{f.saidIn(5, mine, marker+"\nold")}, f.change(5, body)),
				"says so already":                f.writing([]string{f.saidIn(5, mine, marker+"\r\nnew")}),
				"of others with the same marker": f.writing([]string{f.saidIn(4, 7, body), f.saidIn(5, 8, marker+"\nold")}, f.add(body)),
				"of a ghost":                     f.writing([]string{strings.Replace(f.saidIn(4, 99, body), `{"id":99,"login":"x"}`, "null", 1)}, f.add(body)),
				"quoted by ours":                 f.writing([]string{f.saidIn(5, mine, "> "+marker+"\n> old\n\nwhy?"), f.saidIn(6, mine, "see `"+marker+"`")}, f.add(body)),
				"another marker of ours":         f.writing([]string{f.saidIn(5, mine, "<!-- bayplan:plan2 -->\nold")}, f.add(body)),
				"doubles": f.writing(
					[]string{f.saidIn(9, mine, marker), f.saidIn(3, 7, marker), f.saidIn(5, mine, marker+"\nold"), f.saidIn(6, mine, body)},
					f.change(5, body), lost, f.remove(9)),
				"removed meanwhile": f.writing([]string{f.saidIn(5, mine, marker+"\nold")}, gone, f.add(body)),
			} {
				t.Run(name, func(t *testing.T) {
					if err := f.open(t, exchanges...).Comment(t.Context(), 7, marker, "new\n"); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// What GitLab writes in our name isn't ours.
func TestGitLabSystemNote(t *testing.T) {
	f := reviewFlavors()[1]
	system := strings.Replace(f.saidIn(5, mine, marker), `"system":false`, `"system":true`, 1)
	if err := f.open(t, f.writing([]string{system}, f.add(marker+"\nnew"))...).Comment(t.Context(), 7, marker, "new"); err != nil {
		t.Error(err)
	}
}

// A marker may go on, to carry what the comment was made of.
func TestCommentWithALongerMarker(t *testing.T) {
	f := reviewFlavors()[0]
	const begin, old = "<!-- bayplan:plan", "<!-- bayplan:plan 1..2 -->\nold"
	const body = "<!-- bayplan:plan 1..3 -->\nnew"
	other := f.saidIn(4, mine, "<!-- bayplan:planet -->")
	forge := f.open(t, append(f.writing([]string{other, f.saidIn(5, mine, old)}, f.change(5, body)), f.list(1, other, f.saidIn(5, mine, body)), f.list(1, other))...)
	if err := forge.Comment(t.Context(), 7, begin, body); err != nil {
		t.Error(err)
	}
	if got, ok, err := forge.Commented(t.Context(), 7, begin); got != body || !ok || err != nil {
		t.Errorf("got %q %v %v", got, ok, err)
	}
	if got, ok, err := forge.Commented(t.Context(), 7, begin); ok || err != nil {
		t.Errorf("none: got %q %v %v", got, ok, err)
	}
}

func TestCommentAmongMany(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			var first, second []string
			for n := range pageSize {
				first = append(first, f.saidIn(100+n, 7, "talk"))
				second = append(second, f.saidIn(200+n, 7, "talk"))
			}
			second[3] = f.saidIn(203, mine, marker+"\nold")
			forge := f.open(t, f.get(f.user, f.me), f.list(1, first...), f.list(2, second...), f.list(3, second...), f.change(203, marker+"\nnew"))
			if err := forge.Comment(t.Context(), 7, marker, "new"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where it isn't known whether there is a comment already none is made, lest
// there be a new one each time.
func TestTooManyComments(t *testing.T) {
	f := reviewFlavors()[0]
	exchanges := []exchange{f.get(f.user, f.me)}
	for page := range maxComments / pageSize {
		var list []string
		for n := range pageSize {
			list = append(list, f.saidIn(1+page*pageSize+n, 7, "talk"))
		}
		exchanges = append(exchanges, f.list(page+1, list...))
	}
	if err := f.open(t, exchanges...).Comment(t.Context(), 7, marker, "new"); schema.CodeOf(err) != schema.Exceeded {
		t.Errorf("got %v", err)
	}
}

func TestCommentThatCantBe(t *testing.T) {
	forge := open(t, GitHub, "http://127.0.0.1:1", "team/fleet")
	for name, tt := range map[string]struct {
		number       int64
		marker, body string
		want         schema.Code
	}{
		"too long":     {7, marker, strings.Repeat("é", MaxComment), schema.Exceeded},
		"no number":    {0, marker, "x", schema.Invalid},
		"negative":     {-1, marker, "x", schema.Invalid},
		"no marker":    {7, "", "x", schema.Invalid},
		"plain marker": {7, "bayplan", "x", schema.Invalid},
		"two lines":    {7, "<!-- a\nb -->", "x", schema.Invalid},
	} {
		if err := forge.Comment(t.Context(), tt.number, tt.marker, tt.body); schema.CodeOf(err) != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

// A forge that wants to be left alone isn't written to, and no error tells the token.
func TestCommentAtALimit(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			limited := f.add(marker + "\nnew")
			limited.status, limited.answer, limited.answerWith = 429, `{"message":"slow down, `+token+`"}`, http.Header{"Retry-After": {"30"}}
			forge := f.open(t, f.writing(nil, limited)...)
			for _, want := range []string{"asked again in 30s", "left alone"} {
				err := forge.Comment(t.Context(), 7, marker, "new")
				if schema.CodeOf(err) != schema.Unavailable || !strings.Contains(fmt.Sprint(err), want) || strings.Contains(fmt.Sprint(err), token) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func TestAccount(t *testing.T) {
	refused := func(f reviewFlavor, body string) exchange {
		e := f.get(f.user, body)
		e.status = 403
		return e
	}
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			forge := f.open(t, f.get(f.user, f.me))
			for range 2 { // it is asked once
				if got, err := forge.Account(t.Context()); got != "bayplan" || err != nil {
					t.Errorf("got %q %v", got, err)
				}
			}
			if _, err := f.open(t, f.get(f.user, `{"login":"nobody"}`)).Account(t.Context()); schema.CodeOf(err) != schema.Unavailable {
				t.Errorf("got %v", err)
			}
		})
	}
	f := reviewFlavors()[0]
	viewer := exchange{
		Method: http.MethodPost, URL: "/api/graphql", Body: map[string]any{"query": "query{viewer{login databaseId}}"}, header: f.header, status: 200,
		answer: `{"data":{"viewer":{"login":"bayplan[bot]","databaseId":41}}}`,
	}
	app := f.open(t, refused(f, `{"message":"Resource not accessible by integration"}`), viewer)
	if got, err := app.Account(t.Context()); got != "bayplan[bot]" || err != nil {
		t.Errorf("an App's token: got %q %v", got, err)
	}
	f = reviewFlavors()[2]
	_, err := f.open(t, refused(f, `{"message":"token does not have at least one of required scope(s), required=[read:user]"}`)).Account(t.Context())
	if schema.CodeOf(err) != schema.Forbidden || !strings.Contains(err.Error(), "the token needs read:user") {
		t.Errorf("without the scope: got %v", err)
	}
}
