package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const botSignature = "Bayplan <bayplan@localhost>"

// Seed gives a repository whose served branch has no commit its first: the
// regular files of the folder. A branch with commits is left alone. It isn't
// checked. To be called before requests are served.
func (h *Host) Seed(ctx context.Context, files fs.FS, message string) error {
	tip, err := h.repo.store.branch(h.options.Branch)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if tip != "" {
		return nil
	}
	var stream bytes.Buffer
	fmt.Fprintf(&stream, "commit refs/heads/%s\ncommitter %s %d +0000\n", h.options.Branch, botSignature, time.Now().Unix())
	fmt.Fprintf(&stream, "data %d\n%s\n", len(message), message)
	if err := fs.WalkDir(files, ".", appendFile(&stream, files)); err != nil {
		return schema.Errorf(schema.Invalid, "seed: %w", err)
	}
	stream.WriteString("done\n")
	if _, err := h.git.run(ctx, h.dir(), &stream, "fast-import", "--quiet", "--done"); err != nil {
		return schema.Errorf(schema.Unavailable, "seed: %w", err)
	}
	return h.persist()
}

// appendFile writes each regular file in the language of git fast-import.
func appendFile(stream *bytes.Buffer, files fs.FS) fs.WalkDirFunc {
	return func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if strings.ContainsAny(path, "\n\"") {
			return schema.Errorf(schema.Invalid, "file name %q", path)
		}
		fmt.Fprintf(stream, "M 100644 inline %s\ndata %d\n", path, len(content))
		stream.Write(content)
		return stream.WriteByte('\n')
	}
}
