package webhook

import (
	"context"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/into"
)

const (
	filesPath = "/compute/containers/{id}/files"
	maxPath   = 4096 // PATH_MAX

	defaultDirMode = fs.FileMode(0o755)
)

// FileEntry is a file in a container.
type FileEntry struct {
	Name     string        `json:"name"`
	Path     string        `json:"path"`
	Type     into.FileType `json:"type" enum:"file,directory,symlink,other"`
	Size     int64         `json:"size_bytes"`
	Mode     string        `json:"mode" doc:"The permissions, octal." example:"0644"`
	Modified time.Time     `json:"modified"`
	UID      uint32        `json:"uid"`
	GID      uint32        `json:"gid"`
	Target   string        `json:"target,omitempty" doc:"Where a symlink leads."`
	Encoding string        `json:"encoding,omitempty" enum:"base64" doc:"How name, path and target are written where one of them isn't UTF-8."`
}

// FileList is a folder's content, by name.
type FileList struct {
	Items    []FileEntry `json:"items" nullable:"false"`
	Continue string      `json:"continue,omitempty" doc:"Where to go on; absent on the last page."`
}

// NewFolder is a folder to make.
type NewFolder struct {
	Path     string `json:"path" doc:"Absolute." example:"/data/in"`
	Parents  *bool  `json:"parents,omitempty" nullable:"false" doc:"Make its parents, too, and take it as made when it is there; true when absent."`
	Mode     string `json:"mode,omitempty" pattern:"^0?[0-7]{3}$" doc:"Octal; 0755 when absent." example:"0755"`
	Encoding string `json:"encoding,omitempty" enum:"base64" doc:"How path is written; as it is when absent."`
}

// FileMove gives a file another path.
type FileMove struct {
	From     string `json:"from" doc:"Absolute." example:"/data/a.txt"`
	To       string `json:"to" doc:"Absolute; a file that is there is replaced." example:"/data/b.txt"`
	Encoding string `json:"encoding,omitempty" enum:"base64" doc:"How from and to are written; as they are when absent."`
}

// AtFile is the path of a file in a container, which a URL can hold whatever its bytes are.
type AtFile struct {
	AtContainer
	Path string `query:"path" required:"true" doc:"Absolute." example:"/data/a.txt"`
}

type fileListInput struct {
	AtFile
	Limit    int    `query:"limit" default:"1000" minimum:"1" maximum:"10000" doc:"Items at most."`
	Continue string `query:"continue" maxLength:"1024" doc:"Where to go on: continue of the page before."`
}

type statInput struct {
	AtFile
	Follow bool `query:"follow" doc:"Describe what a symlink leads to."`
}

type removeInput struct {
	AtFile
	Recursive bool `query:"recursive" doc:"A folder with everything in it."`
}

type fileOutput[T any] struct {
	Body T
}

func (a *API) fileRoutes() {
	const note = "Needs the scope write."
	files := func(op huma.Operation) huma.Operation {
		op.Tags, op.Description = []string{"access"}, strings.TrimSpace(op.Description+" "+note)
		return op
	}
	inside(a, files(huma.Operation{
		Method: http.MethodGet, Path: filesPath + "/list", OperationID: "list-files", Summary: "List a folder of a container",
	}), a.listFiles)
	inside(a, files(huma.Operation{
		Method: http.MethodGet, Path: filesPath + "/stat", OperationID: "stat-file", Summary: "Describe a file of a container",
	}), a.statFile)
	inside(a, files(huma.Operation{
		Method: http.MethodPost, Path: filesPath + "/mkdir", OperationID: "make-folder", Summary: "Make a folder in a container", DefaultStatus: http.StatusNoContent,
	}), a.makeFolder)
	inside(a, files(huma.Operation{
		Method: http.MethodPost, Path: filesPath + "/move", OperationID: "move-file", Summary: "Move or rename a file of a container", DefaultStatus: http.StatusNoContent,
	}), a.moveFile)
	inside(a, files(huma.Operation{
		Method: http.MethodDelete, Path: filesPath, OperationID: "remove-file", Summary: "Remove a file of a container", DefaultStatus: http.StatusNoContent,
		Description: "One that isn't there is as it was to be.",
	}), a.removeFile)
	a.fileContentRoutes(files)
}

func (a *API) listFiles(ctx context.Context, in *fileListInput) (*fileOutput[FileList], error) {
	files, dir, err := a.filesAt(ctx, &in.AtFile)
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(in.Continue)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "query.continue: %q is not a token of an earlier page", in.Continue)
	}
	all, err := files.List(ctx, dir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b into.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	if in.Continue != "" {
		from, found := slices.BinarySearchFunc(all, string(after), func(f into.FileInfo, name string) int { return strings.Compare(f.Name, name) })
		if found {
			from++
		}
		all = all[from:]
	}
	out := &fileOutput[FileList]{Body: FileList{Items: []FileEntry{}}}
	for i := range all[:min(len(all), in.Limit)] {
		out.Body.Items = append(out.Body.Items, viewFile(&all[i]))
	}
	if len(all) > in.Limit {
		out.Body.Continue = base64.RawURLEncoding.EncodeToString([]byte(all[in.Limit-1].Name))
	}
	return out, nil
}

func viewFile(f *into.FileInfo) FileEntry {
	v := FileEntry{
		Name: f.Name, Path: f.Path, Target: f.Target, Type: f.Type, Size: f.Size,
		Mode: "0" + strconv.FormatUint(uint64(f.Mode.Perm()), 8), Modified: f.Modified.UTC(),
		UID: f.UID, GID: f.GID,
	}
	if !utf8.ValidString(f.Name + "/" + f.Path + "/" + f.Target) {
		v.Encoding = encodingBase64
		for _, field := range []*string{&v.Name, &v.Path, &v.Target} {
			*field = base64.StdEncoding.EncodeToString([]byte(*field))
		}
	}
	return v
}

func (a *API) statFile(ctx context.Context, in *statInput) (*fileOutput[FileEntry], error) {
	files, at, err := a.filesAt(ctx, &in.AtFile)
	if err != nil {
		return nil, err
	}
	describe := files.Stat
	if in.Follow {
		describe = files.Follow
	}
	f, err := describe(ctx, at)
	if err != nil {
		return nil, err
	}
	return &fileOutput[FileEntry]{Body: viewFile(&f)}, nil
}

func (a *API) makeFolder(ctx context.Context, in *struct {
	AtContainer
	Body NewFolder
},
) (*struct{}, error) {
	id, err := a.enter(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	at, err := bodyPath("/path", in.Body.Path, in.Body.Encoding)
	if err != nil {
		return nil, err
	}
	parents := in.Body.Parents == nil || *in.Body.Parents
	return nil, a.opts.Access.Files(id).Mkdir(ctx, at, parents, fileMode(in.Body.Mode, defaultDirMode))
}

func (a *API) moveFile(ctx context.Context, in *struct {
	AtContainer
	Body FileMove
},
) (*struct{}, error) {
	id, err := a.enter(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from, err := bodyPath("/from", in.Body.From, in.Body.Encoding)
	if err != nil {
		return nil, err
	}
	to, err := bodyPath("/to", in.Body.To, in.Body.Encoding)
	if err != nil {
		return nil, err
	}
	return nil, a.opts.Access.Files(id).Move(ctx, from, to)
}

func (a *API) removeFile(ctx context.Context, in *removeInput) (*struct{}, error) {
	files, at, err := a.filesAt(ctx, &in.AtFile)
	if err != nil {
		return nil, err
	}
	if at == "/" {
		return nil, schema.Errorf(schema.Invalid, "query.path: / can't be removed")
	}
	if err := files.Remove(ctx, at, in.Recursive); schema.CodeOf(err) != schema.NotFound {
		return nil, err
	}
	return nil, nil //nolint:nilnil // 204 has no body
}

// fileAt is a running container, and the path that is asked for in it.
func (a *API) fileAt(ctx context.Context, in *AtFile) (schema.ContainerID, string, error) {
	id, err := a.enter(ctx, in.ID)
	if err != nil {
		return id, "", err
	}
	at, err := cleanPath(in.Path)
	if err != nil {
		return id, "", schema.Errorf(schema.Invalid, "query.path: %w", err)
	}
	return id, at, nil
}

func (a *API) filesAt(ctx context.Context, in *AtFile) (into.Files, string, error) {
	id, at, err := a.fileAt(ctx, in)
	if err != nil {
		return nil, "", err
	}
	return a.opts.Access.Files(id), at, nil
}

// cleanPath takes absolute paths only, which lead nowhere but where they say.
func cleanPath(p string) (string, error) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "", schema.Errorf(schema.Invalid, "%.100q must begin with /", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		return "", schema.Errorf(schema.Invalid, "%.100q must not hold ..", p)
	case len(p) > maxPath || strings.ContainsRune(p, 0):
		return "", schema.Errorf(schema.Invalid, "no path has more than %d bytes, or a NUL", maxPath)
	}
	return path.Clean(p), nil
}

// bodyPath is a path of a JSON body, whose field the pointer names.
func bodyPath(pointer, text, encoding string) (string, error) {
	if encoding == encodingBase64 {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", invalidAt(pointer, schema.Errorf(schema.Invalid, "the path is no base64: %w", err))
		}
		text = string(data)
	}
	at, err := cleanPath(text)
	if err != nil {
		return "", invalidAt(pointer, err)
	}
	return at, nil
}

// fileMode reads what the route's pattern has let through.
func fileMode(octal string, otherwise fs.FileMode) fs.FileMode {
	mode, err := strconv.ParseUint(octal, 8, 32)
	if err != nil {
		return otherwise
	}
	return fs.FileMode(mode).Perm()
}
