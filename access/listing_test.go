package access

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

func TestParseListingRefusesNonsense(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"no end":            "81a4 1 2 3 4 ./a/\n",
		"no name":           "81a4 1 2 3 4 ./\x00",
		"an empty name":     "81a4 1 2 3 4 .//\n\x00",
		"the directory":     "41ed 1 2 3 4 ././\n\x00",
		"the one above":     "41ed 1 2 3 4 ./../\n\x00",
		"a path":            "81a4 1 2 3 4 ./a/b/\n\x00",
		"few fields":        "81a4 1 2 3 ./a/\n\x00",
		"no mode":           "x 1 2 3 4 ./a/\n\x00",
		"a large mode":      "fffffffff 1 2 3 4 ./a/\n\x00",
		"a negative size":   "81a4 -1 2 3 4 ./a/\n\x00",
		"no prefix":         "81a4 1 2 3 4 a/\n\x00",
		"endless fields":    strings.Repeat("8", 5000),
		"an endless name":   "81a4 1 2 3 4 ./" + strings.Repeat("n", 5000) + "/\n\x00",
		"a NUL in a name":   "81a4 1 2 3 4 ./a\x00b/\n\x00",
		"half a target":     "a1ff 1 2 3 4 ./a/\n\x00./a\x00target",
		"an endless target": "a1ff 1 2 3 4 ./a/\n\x00./a\x00" + strings.Repeat("t", 5000),
	} {
		if list, err := parseListing(strings.NewReader(text), "/dir"); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("%s: %+v, error %v; want unavailable", name, list, err)
		}
	}
	var many strings.Builder
	for range maxFiles + 1 {
		many.WriteString("81a4 1 2 3 4 ./a/\n")
	}
	_, err := parseListing(strings.NewReader(many.String()), "/dir")
	code(t, "too many", err, schema.Exceeded)
}

func FuzzListing(f *testing.F) {
	f.Add("81a4 1 1500000000 0 0 ./a/\na1ff 1 2 3 4 ./l\nx/\n\x00./l\nx\x00/etc\n\x00")
	f.Add("\x00")
	f.Add("81a4 1 -2 3 4 ././\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseListing(strings.NewReader(text), "/dir")
		if err != nil {
			return
		}
		for _, info := range list {
			if strings.ContainsAny(info.Name, "/\x00") || info.Name == "" || info.Name == ".." || info.Path != path.Join("/dir", info.Name) || path.Dir(info.Path) != "/dir" {
				t.Errorf("%+v", info)
			}
			if info.Size < 0 || (info.Type == TypeDirectory) != info.Mode.IsDir() || (info.Type == TypeSymlink) != (info.Mode&fs.ModeSymlink != 0) {
				t.Errorf("%+v", info)
			}
		}
	})
}
