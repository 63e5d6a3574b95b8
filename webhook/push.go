package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// push is the little that is read of a payload, and only to leave out what
// concerns others. Forges spell it in different ways; what can't be read is empty.
type push struct {
	// Kind or Name is what has happened, where it is one of GitLab's.
	Kind string `json:"object_kind"`
	Name string `json:"event_name"`
	Ref  string `json:"ref"`
	// Refs are those of a push that GitLab tells the whole instance of.
	Refs       []string   `json:"refs"`
	Repository repository `json:"repository"`
	Project    repository `json:"project"`
}

type repository struct {
	FullName string `json:"full_name"`
	Path     string `json:"path_with_namespace"`
	CloneURL string `json:"clone_url"`
	HTTPURL  string `json:"git_http_url"`
	SSHURL   string `json:"git_ssh_url"`
	URL      string `json:"url"`
}

// parsePush reads a verified payload. A payload that makes no sense says
// nothing, so that it concerns us: looking once too often is harmless.
func parsePush(body []byte) push {
	var p push
	if json.Unmarshal(body, &p) != nil {
		return push{}
	}
	return p
}

// within is the payload in a body: all of it, or the one field of a form, as
// which forges send it by choice. Its own type a form may lie about: curl calls
// everything one.
func within(h http.Header, body []byte) []byte {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	field, ok := bytes.CutPrefix(body, []byte("payload="))
	if err != nil || media != typeForm || !ok {
		return body
	}
	text, err := url.QueryUnescape(string(field))
	if err != nil {
		return body
	}
	return []byte(text)
}

// kind is what has happened, in GitLab's words; empty for other forges.
func (p push) kind() string { return cmp.Or(p.Kind, p.Name) }

// moved are the refs that it says to have moved; none where it doesn't say.
func (p push) moved() []string {
	if p.Ref != "" {
		return []string{p.Ref}
	}
	return p.Refs
}

// concerns reports whether the push may have moved the branch of the repository.
func (p push) concerns(repo, branch string) bool {
	refs := p.moved()
	return (len(refs) == 0 || slices.Contains(refs, "refs/heads/"+branch)) && p.of(repo)
}

// concernsBranch reports whether it may have moved any branch of the repository,
// or is about one of its pull requests.
func (p push) concernsBranch(repo string) bool {
	refs := p.moved()
	branch := func(ref string) bool { return strings.HasPrefix(ref, "refs/heads/") }
	return (len(refs) == 0 || slices.ContainsFunc(refs, branch)) && p.of(repo)
}

// of reports whether it may be of the repository.
func (p push) of(repo string) bool {
	names, ours := p.names(), repositoryName(repo)
	return ours == "" || len(names) == 0 || names[ours]
}

func (p push) names() map[string]bool {
	names := map[string]bool{}
	for _, r := range []repository{p.Repository, p.Project} {
		for _, s := range []string{r.FullName, r.Path, r.CloneURL, r.HTTPURL, r.SSHURL, r.URL} {
			if name := repositoryName(s); name != "" {
				names[name] = true
			}
		}
	}
	return names
}

// repositoryName is the path of a repository within its forge, in lower case:
// the same for every URL of it, since a forge has several host names as often
// as not. A repository on disk has none.
func repositoryName(s string) string {
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, ".") || strings.HasPrefix(s, "file:") {
		return ""
	}
	if u, err := url.Parse(s); err == nil && u.Scheme != "" && u.Host != "" {
		s = u.Path
	} else if _, path, ok := strings.Cut(s, ":"); ok { // git@host:owner/name.git
		s = path
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(s, "/"), ".git"))
}
