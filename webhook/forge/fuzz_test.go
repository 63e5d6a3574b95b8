package forge

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLine checks that whatever people wrote becomes one line of bounded length.
func FuzzLine(f *testing.F) {
	f.Add("looks\r\nfine \x00\u202e", 140)
	f.Add(strings.Repeat("é ", 100), 1)
	f.Add("\xff\xfe", 2)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(most%1000, 1)
		got := line(text, most)
		if n := utf8.RuneCountInString(got); n > most || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\u2028") {
			t.Errorf("got %q of %d characters, want at most %d in one line", got, n, most)
		}
		if again := line(got, most); again != got {
			t.Errorf("got %q of %q", again, got)
		}
		if short := cut(text, most); len(short) > most+len("…") || utf8.ValidString(text) && !utf8.ValidString(short) {
			t.Errorf("cut: got %q", short)
		}
	})
}

// FuzzListedPull checks that no list makes a commit of what is none.
func FuzzListedPull(f *testing.F) {
	for _, flavor := range reviewFlavors() {
		f.Add([]byte("["+flavor.listed+"]"), "main")
	}
	f.Add([]byte(`[{"number":-1,"head":{"sha":"../../x"},"base":{"ref":"main"}}]`), "main")
	f.Fuzz(func(t *testing.T, answer []byte, branch string) {
		var list []listedPull
		if json.Unmarshal(answer, &list) != nil {
			return
		}
		for _, l := range list {
			p := l.pullRequest(branch)
			if p.Head != "" && (!validRevision(p.Head) || l.Base.Ref != branch) {
				t.Errorf("got %+v", p)
			}
		}
	})
}
