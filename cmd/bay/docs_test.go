package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsPointAtWhatExists checks that every relative link of the
// documents leads somewhere, and that a link whose text is the name of a
// function, such as [gitsync.Repo.Head](gitsync/repo.go), leads to its file.
func TestDocumentsPointAtWhatExists(t *testing.T) {
	documents, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\[([^\]]+)\]\(([^)#]+)\)`)
	function := regexp.MustCompile("^`?[a-z]+(\\.[A-Z]\\w*)?\\.(\\w+)`?$")
	links := 0
	for _, document := range append(documents, more...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[2], "://") {
				continue
			}
			links++
			target := filepath.Join(filepath.Dir(document), m[2])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: link to %s: %v", document, m[2], err)
				continue
			}
			if f := function.FindStringSubmatch(m[1]); f != nil && strings.HasSuffix(target, ".go") {
				source, err := os.ReadFile(target)
				if err != nil {
					t.Fatal(err)
				}
				if !regexp.MustCompile(`(?m)^func (\([^)]*\) )?` + f[2] + `\b|^\t?(type )?` + f[2] + ` `).Match(source) {
					t.Errorf("%s: %s holds no %s", document, m[2], f[2])
				}
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links were found", links)
	}
}
