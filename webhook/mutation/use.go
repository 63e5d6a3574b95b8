package mutation

import (
	"fmt"

	"bayplan.dev/schema"
)

// InUseError is a Conflict that names what still uses a thing.
type InUseError struct {
	err   error
	users schema.Findings
}

func (e *InUseError) Error() string { return e.err.Error() }

// Unwrap returns the Conflict.
func (e *InUseError) Unwrap() error { return e.err }

// Findings are the users, each where its document begins.
func (e *InUseError) Findings() schema.Findings { return e.users }

func inUse(target Target, users schema.Findings) error {
	users.Sort()
	return &InUseError{schema.Errorf(schema.Conflict, "%s %q is in use; delete what uses it first", target.Noun(), target), users}
}

func user(name string, line int, message string) schema.Finding {
	return schema.Finding{
		Position: schema.Position{File: name, Line: line}, Severity: schema.SeverityError, Code: "in-use", Message: message,
	}
}

// DeleteSpace removes a space that holds no container and no volume, with its
// folder. NotFound when there is none; an InUseError when something is in it.
func DeleteSpace(id schema.SpaceID) Edit {
	target := Space(id)
	return func(t Tree) (Outcome, error) {
		dir := target.folder()
		if empty, err := vacant(t, dir); err != nil {
			return Outcome{}, err
		} else if empty {
			return Outcome{}, target.Missing()
		}
		users, err := scan(t, dir, func(d document) string {
			switch d.ref.Kind {
			case schema.KindSpace:
				return ""
			case schema.KindContainer:
				return "container " + Container(schema.ContainerID{Space: id, Name: d.ref.Name}).String()
			case schema.KindVolume:
				return "volume " + Volume(id, d.ref.Name).String()
			default:
				return fmt.Sprintf("a document of kind %.30q", d.ref.Kind)
			}
		})
		if err != nil {
			return Outcome{}, err
		}
		if len(users) > 0 {
			return Outcome{}, inUse(target, users)
		}
		return Outcome{File: target.Path(), SpaceGone: true}, t.Remove(dir)
	}
}

// DeleteVolume removes a volume that no container mounts. NotFound when there
// is none; an InUseError when a container's document names it. One that a preset
// makes a container mount is found when the commit is checked.
func DeleteVolume(space schema.SpaceID, name string, expect Expect) Edit {
	target := Volume(space, name)
	return func(t Tree) (Outcome, error) {
		if _, _, err := expected(t, target, expect); err != nil {
			return Outcome{}, err
		}
		users, err := scan(t, target.folder(), func(d document) string {
			if d.ref.Kind != schema.KindContainer || !mounts(d.spec, name) {
				return ""
			}
			return "container " + Container(schema.ContainerID{Space: space, Name: d.ref.Name}).String()
		})
		if err != nil {
			return Outcome{}, err
		}
		if len(users) > 0 {
			return Outcome{}, inUse(target, users)
		}
		return Delete(target, expect)(t)
	}
}

func mounts(spec map[string]any, volume string) bool {
	list, _ := spec["volumes"].([]any)
	for _, e := range list {
		if mount, ok := e.(map[string]any); ok && mount["name"] == volume {
			return true
		}
	}
	return false
}

// scan asks of each document of a folder whether it is a user, and what it is
// called. A file that can't be read may hold one.
func scan(t Tree, dir string, ask func(document) string) (schema.Findings, error) {
	names, err := documents(t, dir)
	if err != nil {
		return nil, err
	}
	var users schema.Findings
	for _, name := range names {
		content, err := t.Read(name)
		if err != nil && schema.CodeOf(err) != schema.Exceeded {
			return nil, err
		}
		var docs []document
		if err == nil {
			docs, err = parse(content)
		}
		if err != nil {
			users = append(users, user(name, 0, fmt.Sprintf("the file can't be read, so nobody knows what is in it: %v", err)))
		}
		for _, d := range docs {
			if called := ask(d); called != "" {
				users = append(users, user(name, d.line, called))
			}
		}
	}
	return users, nil
}
