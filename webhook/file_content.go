package webhook

import (
	"context"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

const (
	typeBytes = "application/octet-stream"
	typeTar   = "application/x-tar"

	defaultMaxUpload = 1 << 30
)

type uploadInput struct {
	AtFile
	Mode        string `query:"mode" pattern:"^0?[0-7]{3}$" doc:"Octal, what the file gets; without it one that is there keeps its own." example:"0644"`
	IfNoneMatch string `header:"If-None-Match" enum:"*" doc:"With * a file that is there already is 409."`
}

func (a *API) fileContentRoutes(files func(huma.Operation) huma.Operation) {
	archive := filesPath + "/archive"
	bytes, tar := &huma.Schema{Type: huma.TypeString, Format: "binary"}, &huma.Schema{Type: huma.TypeString, Format: "binary"}
	done := map[string]*huma.Response{"204": {Description: "It is written."}, "413": a.problemResponse("The body is too large.", http.StatusRequestEntityTooLarge)}
	stream(a, files(huma.Operation{
		Method: http.MethodGet, Path: filesPath, OperationID: "read-file", Summary: "Read a file of a container", Parameters: ticketParam(),
		Description: "A symlink is followed. An answer that ends early was cut.",
		Responses:   map[string]*huma.Response{"200": content("The file.", typeBytes, bytes)},
	}), a.readFile)
	stream(a, files(huma.Operation{
		Method: http.MethodPut, Path: filesPath, OperationID: "write-file", Summary: "Write a file of a container",
		Description: "The body is the new content. What was cut in the middle leaves a part behind.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{typeBytes: {Schema: bytes}}},
		Responses:   done, DefaultStatus: http.StatusNoContent,
	}), a.writeFile)
	stream(a, files(huma.Operation{
		Method: http.MethodGet, Path: archive, OperationID: "read-archive", Summary: "Read a file or folder of a container as a tar", Parameters: ticketParam(),
		Description: "Names in it begin with the last part of the path. An answer that ends early was cut.",
		Responses:   map[string]*huma.Response{"200": content("A tar archive.", typeTar, tar)},
	}), a.readArchive)
	stream(a, files(huma.Operation{
		Method: http.MethodPut, Path: archive, OperationID: "write-archive", Summary: "Unpack a tar into a folder of a container",
		Description: "The folder must be there. What was cut in the middle leaves a part behind.",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{typeTar: {Schema: tar}}},
		Responses:   done, DefaultStatus: http.StatusNoContent,
	}), a.writeArchive)
}

func (a *API) readFile(ctx context.Context, in *AtFile) (http.HandlerFunc, error) {
	id, at, err := a.fileAt(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.download(id, path.Base(at), typeBytes, func(ctx context.Context, t *transfer, head bool) error {
		from, err := a.opts.Access.Files(id).Read(ctx, at)
		if err != nil {
			return err
		}
		defer from.Close() //nolint:errcheck // it is only read
		// What a file system makes up, as below /proc, has no size.
		if size := from.Size(); size >= 0 {
			t.w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		}
		if head {
			return nil
		}
		_, err = io.Copy(t, from)
		return err
	}), nil
}

func (a *API) readArchive(ctx context.Context, in *AtFile) (http.HandlerFunc, error) {
	id, at, err := a.fileAt(ctx, in)
	if err != nil {
		return nil, err
	}
	name := path.Base(at)
	if name == "/" {
		name = id.String()
	}
	return a.download(id, name+".tar", typeTar, func(ctx context.Context, t *transfer, head bool) error {
		if head {
			return nil
		}
		return a.opts.Access.Files(id).Pack(ctx, at, t)
	}), nil
}

// download answers with what a user has put into a container, which must not
// become a page of the API's own origin.
func (a *API) download(id schema.ContainerID, name, mediaType string, run func(_ context.Context, _ *transfer, head bool) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		h.Set("Content-Security-Policy", "sandbox")
		t := &transfer{kind: sessionFiles, id: id, need: auth.Write, status: http.StatusOK}
		a.transfer(w, r, t, func(ctx context.Context, t *transfer) error { return run(ctx, t, r.Method == http.MethodHead) })
	}
}

func (a *API) writeFile(ctx context.Context, in *uploadInput) (http.HandlerFunc, error) {
	o := into.WriteOptions{Mode: fileMode(in.Mode, 0), Exclusive: in.IfNoneMatch == "*"}
	return a.upload(ctx, &in.AtFile, func(ctx context.Context, files into.Files, at string, from io.Reader) error {
		return files.Write(ctx, at, from, o)
	})
}

func (a *API) writeArchive(ctx context.Context, in *AtFile) (http.HandlerFunc, error) {
	return a.upload(ctx, in, func(ctx context.Context, files into.Files, at string, from io.Reader) error {
		return files.Unpack(ctx, at, from)
	})
}

// upload hands a body to run.
func (a *API) upload(ctx context.Context, in *AtFile, run func(_ context.Context, _ into.Files, at string, from io.Reader) error) (http.HandlerFunc, error) {
	id, at, err := a.fileAt(ctx, in)
	if err != nil {
		return nil, err
	}
	limit := a.opts.MaxUpload
	if limit == 0 {
		limit = defaultMaxUpload
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > limit {
			a.refuse(w, r, tooLarge(limit))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		t := &transfer{kind: sessionFiles, id: id, need: auth.Write, status: http.StatusNoContent}
		a.transfer(w, r, t, func(ctx context.Context, t *transfer) error {
			return run(ctx, a.opts.Access.Files(id), at, t)
		})
	}, nil
}
