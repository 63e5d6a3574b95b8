package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ciExample is a clone as a forge's runner has it: a topic merged into main,
// with bay on the path.
type ciExample struct {
	t   *testing.T
	dir string
	env []string
}

func newCIExample(t *testing.T) ciExample {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/ci")); err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "bay")); err != nil {
		t.Fatal(err)
	}
	e := ciExample{t: t, dir: dir, env: append(os.Environ(), cleanGit(dir)...)}
	e.env = append(e.env, runAsBay+"=1", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	commitAll(t, dir)
	e.must("git update-ref refs/remotes/origin/main HEAD && git checkout -q -b topic")
	e.must("sed -i s/nginx:1.29-alpine/nginx:1.30-alpine/ users/alice/web/web.yaml && git commit -qam Topic")
	e.must("git checkout -q --detach origin/main && git merge -q --no-ff -m Merge topic")
	e.env = append(e.env,
		"GITHUB_BASE_REF=main", "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary.md"),
		"CI_MERGE_REQUEST_DIFF_BASE_SHA="+strings.TrimSpace(e.must("git rev-parse origin/main")))
	return e
}

func (e ciExample) must(script string) string {
	e.t.Helper()
	cmd := exec.CommandContext(e.t.Context(), "sh", "-ec", script)
	cmd.Dir, cmd.Env = e.dir, e.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// scripts are the texts below run, script and entry of a file, but those that
// install bay.
func scripts(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var found []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 {
				switch n.Content[i-1].Value {
				case "run", "entry":
					found = append(found, child.Value)
				case "script":
					for _, line := range child.Content {
						found = append(found, line.Value)
					}
				}
			}
			walk(child)
		}
	}
	walk(&root)
	var bay []string
	for _, script := range found {
		if !strings.HasPrefix(script, "go install ") {
			bay = append(bay, script)
		}
	}
	return bay
}

// The commands of the examples do what they say, run by a shell as a runner does.
func TestExamplesOfCI(t *testing.T) {
	const ci = "../../examples/ci/"
	tests := map[string]struct {
		file string
		want []string
	}{
		"GitHub":             {ci + ".github/workflows/bayplan.yml", []string{"::notice file=users/alice/web/web.yaml,line=2,title=restart::"}},
		"GitLab":             {ci + ".gitlab-ci.yml", []string{"note: restart: its Pod restarts, because of image"}},
		"Gitea":              {ci + ".gitea/workflows/bayplan.yml", []string{"0 errors", "note: restart: its Pod restarts, because of image"}},
		"pre-commit":         {ci + ".pre-commit-config.yaml", []string{"0 errors"}},
		"hooks of this repo": {"../../.pre-commit-hooks.yaml", []string{"0 errors", "nothing changes"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newCIExample(t)
			var out strings.Builder
			for _, script := range scripts(t, test.file) {
				out.WriteString(e.must(script))
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got\n%s\nwant %q in it", out.String(), want)
				}
			}
		})
	}
	e := newCIExample(t)
	for _, script := range scripts(t, ci+".github/workflows/bayplan.yml") {
		e.must(script)
	}
	summary, err := os.ReadFile(filepath.Join(e.dir, "summary.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile("(?m)^### What this changes: .*1 restart").Match(summary) {
		t.Errorf("the summary is\n%s", summary)
	}
}
