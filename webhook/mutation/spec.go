package mutation

import "bayplan.dev/schema"

// Spec is what one of the files says of the target, as it is written there. The
// file that the API writes is looked into first, the others in the order given.
// NotFound when none holds it; Invalid when a file that may hold it can't be
// read. An entry without content is a file that doesn't exist.
func Spec(target Target, files []File) (map[string]any, error) {
	var broken error
	for _, own := range []bool{true, false} {
		for _, f := range files {
			if f.Content == nil || (f.Path == target.Path()) != own {
				continue
			}
			found, err := findIn(f, f.Path, target)
			switch schema.CodeOf(err) {
			case "":
				if found.spec == nil {
					return map[string]any{}, nil
				}
				return found.spec, nil
			case schema.NotFound:
			case schema.Invalid:
				broken = err
			default:
				return nil, err
			}
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, target.Missing()
}

// File is a file as a commit holds it.
type File struct {
	Path    string
	Content []byte
}

// Read implements reader.
func (f File) Read(string) ([]byte, error) { return f.Content, nil }

// List implements reader: a file lists nothing.
func (f File) List(string) ([]schema.Entry, error) { return nil, nil }
