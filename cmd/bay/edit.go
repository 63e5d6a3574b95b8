package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) editCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "edit ID", Short: "Edit a container in $EDITOR",
		Long: `Open the container as YAML in $VISUAL or $EDITOR, and send what you change once
you save and close it. What the server refuses is shown in the editor again, with
every finding. Somebody else's change in between is never overwritten.`,
		Example: "  EDITOR=nano bay edit alice--web --wait",
		Args:    cobra.ExactArgs(1),
	}
	flags := a.writeFlags(cmd)
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		editor, err := a.editor(cmd)
		if err != nil {
			return err
		}
		e := edit{writes: w, id: args[0], editor: editor}
		if err := e.open(cmd.Context()); err != nil {
			return err
		}
		return w.end()
	}
	return cmd
}

// edit is one container on its way through an editor.
type edit struct {
	*writes
	editor editor
	id     string
	name   string
	etag   string
	before map[string]any
}

// open goes on until the server takes the change, nothing changes any more, or
// another failure than a finding ends it; the text is kept then.
func (e *edit) open(ctx context.Context) error {
	body, err := e.read(ctx)
	if err != nil {
		return err
	}
	var refused error
	for {
		text, err := e.editor.edit(ctx, e.id, e.note(refused)+body)
		if err != nil {
			return err
		}
		text = withoutNote(text)
		if text == body && refused != nil {
			return refused
		}
		body = text
		patch, document, err := e.patch(text)
		if err == nil && len(patch) == 0 {
			return e.app.chat("nothing has changed\n")
		}
		if err == nil {
			e.place = document.place
			err = e.make(ctx, "container "+e.id, merged(e.id, e.etag, patch))
		}
		switch code := schema.CodeOf(err); {
		case err == nil:
			return nil
		case code == schema.Invalid || code == schema.Exceeded:
			refused = err
		default:
			return e.editor.keep(e.id, text, err)
		}
	}
}

// read asks for the container, and returns its document as Git would hold it.
func (e *edit) read(ctx context.Context) (string, error) {
	var c struct {
		Name string         `json:"name"`
		Spec map[string]any `json:"spec"`
		Hash string         `json:"hash"`
	}
	if err := e.client.get(ctx, pathOf("containers", e.id), nil, &c); err != nil {
		return "", err
	}
	if c.Spec == nil {
		return "", schema.Errorf(schema.NotFound, "the file of container %q is gone", e.id)
	}
	e.name, e.etag, e.before = c.Name, `"`+c.Hash+`"`, c.Spec
	text, err := schema.NewDocument(schema.KindContainer, c.Name, c.Spec)
	return string(text), err
}

// patch is what the text changes.
func (e *edit) patch(text string) (map[string]any, document, error) {
	documents, err := readDocuments(e.id+".yaml", []byte(text))
	if err != nil {
		return nil, document{}, err
	}
	name, spec, err := documents[0].container()
	if err != nil {
		return nil, document{}, err
	}
	if len(documents) > 1 || name != e.name {
		return nil, document{}, schema.Errorf(schema.Invalid, "%s.yaml must hold one document, whose name stays %s", e.id, e.name)
	}
	return mergeDiff(e.before, spec), documents[0], nil
}

// mergeDiff is the RFC 7396 patch that makes after of before.
func mergeDiff(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for key := range before {
		if _, ok := after[key]; !ok {
			patch[key] = nil
		}
	}
	for key, value := range after {
		old, known := before[key]
		if known && reflect.DeepEqual(old, value) {
			continue
		}
		inner, ok1 := value.(map[string]any)
		oldInner, ok2 := old.(map[string]any)
		if ok1 && ok2 {
			value = mergeDiff(oldInner, inner)
		}
		patch[key] = value
	}
	return patch
}

// noteMark begins the lines above a document that are for its editor only.
const noteMark = "#: "

// note says what to do, and why the text is there again.
func (e *edit) note(refused error) string {
	said := fmt.Sprintf("container %s: only what you change is sent; close without a change to leave it as it is", e.id)
	if refused != nil {
		said = "the server refuses this; mend it, or close without a change to give up\n" + refused.Error()
	}
	var b strings.Builder
	for line := range strings.Lines(said) {
		b.WriteString(noteMark + strings.TrimRight(line, "\n") + "\n")
	}
	return b.String()
}

func withoutNote(text string) string {
	for strings.HasPrefix(text, strings.TrimSpace(noteMark)) {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}
