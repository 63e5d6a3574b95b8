package review

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update writes it):\n%s", file, diff)
	}
}

// everything is a plan that has a bit of all.
func everything(t *testing.T) *Plan {
	t.Helper()
	base := files{
		platformFile: platform("{limits: {default: {containers: 4}}, network: {blockedCIDRs: [198.41.128.0/24]}}"),
		webFile:      container("web", image, "args: [serve]", "env: [{name: DEBUG, value: '1'}]"),
		dataFile:     document("Volume", "data", "{size: 1Gi}"),
		"users/alice/keys/laptop.yaml": document("SSHKey", "laptop", "{publicKey: "+
			"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2cSUFgrDqSRYb5GYDaqDsdxbpqGYqJMTSADyE6QUGp}"),
		"users/bob/notes/notes.yaml": container("notes", image),
	}
	head := base.with(files{
		platformFile: platform("{limits: {default: {containers: 5}}}"),
		webFile: container("web", "image: registry.example.com/web:2", "args: [serve, --now]", "env: [{name: DEBUG, value: '2'}]",
			"ingress: [{port: 443, targetPort: 80}]"),
		dataFile:                       "",
		"users/alice/web/cache.yaml":   container("cache", image, "state: Stopped"),
		"users/alice/keys/laptop.yaml": document("SSHKey", "laptop", "{publicKey: "+laptopKey+"}"),
		"users/alice/shop/api.yaml":    container("api", "image: 7"),
	})
	plan := compare(t, base, head, Options{})
	plan.Live = &Live{
		Trials: []Trial{
			{Object: "Deployment/compute-alice--web/web", Refused: "exceeded quota", Drift: []Field{{schema.ActionChange, "spec.replicas", "1", "0"}}},
			{Object: "Service/compute-alice--web/web", Replaced: "spec.clusterIP"},
			{Object: "Service/compute-alice--web/cache"},
		},
		Untried: []string{"2 objects of space alice--new: its namespace isn't there yet"},
	}
	return plan
}

func TestText(t *testing.T) {
	plan := everything(t)
	golden(t, "plan.txt", Text(plan, TextOptions{}))
	golden(t, "objects.txt", Text(plan, TextOptions{Objects: true}))
	golden(t, "plan.md", Markdown(plan, 0))
	golden(t, "plan.json", encoded(t, plan)+"\n")
}

// hostile is a plan that has the text wherever users can write one.
func hostile(text string) *Plan {
	at := schema.Position{File: text, Line: 1, Column: 1}
	field := Field{schema.ActionChange, text, text, text}
	caution := warn(NewPublicHost, at, text)
	note := warn(Restart, at, text)
	return &Plan{
		Cautions: []Caution{caution},
		Changes: []Change{{
			Action: schema.ActionChange, Kind: schema.KindContainer, ID: text, Position: at,
			Cautions: []Caution{caution, note}, Fields: []Field{field, {schema.ActionCreate, text, "", text}, {schema.ActionDelete, text, text, ""}},
			Objects: []Object{{schema.ActionChange, text, text, text, " " + text + "\n+" + text, 3}},
		}},
		Quotas:   []Quota{{User: schema.User(text), Rows: []QuotaRow{{What: text, Before: text, After: text, Limit: text}}}},
		Findings: schema.Findings{{Position: at, Severity: schema.SeverityError, Code: "x", Path: text, Message: text, Help: text, Source: text, Width: 2}},
		Live:     &Live{Trials: []Trial{{Object: text, Refused: text, Drift: []Field{field}}}, Untried: []string{text}},
		Cut:      []string{text},
	}
}

var seeds = []string{
	"", "x", "@alice", "`@alice`", "``` @a", "~~~", "</details>", "<img src=x onerror=y>", "[a](http://x)", "|a|", "\\|", "a\nb", "\r\n::error::x",
	"::set-env name=a::b", "##[error]x", "\x1b[31mred", "\u202egnp", "\xff\xfe", "# h", "#1", "- x", "```\n@a\n```", "`", " ` ", "&lt;", "http://x", "\t::x", "\u2028@x",
	strings.Repeat("`", 70) + "@a", "x`" + strings.Repeat("y", 500) + "`@a", "\\`@a\\`",
}

func FuzzText(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := Text(hostile(s), TextOptions{Objects: true})
		for line := range strings.Lines(text) {
			body := strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(body, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) && !strings.ContainsRune(s, unicode.ReplacementChar) {
				t.Errorf("the line %q holds what a terminal may obey", body)
			}
			if bare := strings.TrimSpace(body); strings.HasPrefix(bare, "::") || strings.HasPrefix(bare, "##[") {
				t.Errorf("the line %q begins as a runner's command", body)
			}
		}
	})
}

// fixed is all that stands outside of code.
var fixed = regexp.MustCompile(`^[A-Za-z0-9 ,;:.*?#\n-]*$`)

// inert takes code spans and fenced blocks out of Markdown as CommonMark reads
// them (4.5, 6.1) and returns what is left, where markup would count.
func inert(t *testing.T, text string) string {
	t.Helper()
	var rest strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		// A fence may be indented by three spaces, and no more.
		body := strings.TrimLeft(line, " ")
		run := body[:len(body)-len(strings.TrimLeft(body, "`"))]
		if len(line)-len(body) > 3 {
			run = ""
		}
		info := body[len(run):]
		switch {
		case fence != "" && len(run) >= len(fence) && strings.Trim(info, " \t") == "":
			fence = ""
		case fence != "":
		case len(run) >= 3 && !strings.Contains(info, "`"):
			fence = run
		default:
			rest.WriteString(outside(line) + "\n")
		}
	}
	if fence != "" {
		t.Errorf("a fenced block isn't closed:\n%s", text)
	}
	return rest.String()
}

// outside is a line without its code spans.
func outside(line string) string {
	var rest strings.Builder
	for line != "" {
		start := strings.IndexByte(line, '`')
		if start < 0 {
			break
		}
		rest.WriteString(line[:start])
		line = line[start:]
		n := len(line) - len(strings.TrimLeft(line, "`"))
		end := closing(line[n:], n)
		if end < 0 {
			rest.WriteString(line[:n])
			line = line[n:]
			continue
		}
		line = line[n+end+n:]
	}
	return rest.String() + line
}

// closing finds the run of exactly n backticks, or -1.
func closing(s string, n int) int {
	for i := 0; i < len(s); {
		if s[i] != '`' {
			i++
			continue
		}
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += run
	}
	return -1
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, 0)
		f.Add(s, 1500)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 0), 1<<20)
		text := Markdown(hostile(s), limit)
		if limit == 0 {
			limit = MarkdownLimit
		}
		if len(text) > limit {
			t.Errorf("got %d bytes, want at most %d", len(text), limit)
		}
		if limit < 20_000 {
			return // the head itself may be cut off
		}
		rest := inert(t, text)
		rest = strings.NewReplacer("<details><summary>", "", "</summary>", "", "</details>", "").Replace(rest)
		if !fixed.MatchString(rest) {
			t.Errorf("outside of code stands %q", rest)
		}
	})
}

func TestMarkdownFits(t *testing.T) {
	base, head := many(300, image), many(300, image, "args: ["+strings.Repeat("x", 400)+"]")
	plan := compare(t, base, head, Options{})
	for _, limit := range []int{2000, 20_000, 60_000} {
		text := Markdown(plan, limit)
		if len(text) > limit || len(text) < limit/4 {
			t.Errorf("limit %d: got %d bytes", limit, len(text))
		}
		if rest := inert(t, text); !strings.Contains(rest, "left out here") {
			t.Errorf("limit %d: nothing says what is left out:\n%s", limit, rest)
		}
	}
}
