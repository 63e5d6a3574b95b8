package schema

import "testing"

func TestSameDocument(t *testing.T) {
	const web = "kind: Container\nmetadata: {name: web}\nspec: {image: a:1, args: [x]}\n"
	ref := DocumentRef{Kind: KindContainer, Name: "web"}
	for name, test := range map[string]struct {
		a, b string
		want bool
	}{
		"itself":                  {web, web, true},
		"written another way":     {web, "# mine\nspec:\n  args:\n  - \"x\"\n  image: 'a:1'\nmetadata:\n  name: web\nkind: Container\n", true},
		"beside another document": {web, web + "---\nkind: Volume\nmetadata: {name: data}\n", true},
		"changed":                 {web, "kind: Container\nmetadata: {name: web}\nspec: {image: a:2, args: [x]}\n", false},
		"a text isn't a number":   {"kind: Container\nmetadata: {name: web}\nspec: 1\n", "kind: Container\nmetadata: {name: web}\nspec: \"1\"\n", false},
		"gone":                    {web, "kind: Container\nmetadata: {name: api}\n", false},
		"twice":                   {web, web + "---\n" + web, false},
		"never there":             {"", "", false},
		"no YAML":                 {web, "kind: [", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SameDocument([]byte(test.a), []byte(test.b), ref); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
