package webhook

import (
	"encoding/json"
	"net/url"
	"strings"
)

// push is the little that is read of a payload, and only to leave out what
// concerns others. Forges spell it in different ways; what can't be read is empty.
type push struct {
	Ref        string     `json:"ref"`
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

// concerns reports whether the push may have moved the branch of the repository.
func (p push) concerns(repo, branch string) bool {
	return (p.Ref == "" || p.Ref == "refs/heads/"+branch) && p.of(repo)
}

// concernsBranch reports whether it may have moved any branch of the repository,
// or is about one of its pull requests.
func (p push) concernsBranch(repo string) bool {
	return (p.Ref == "" || strings.HasPrefix(p.Ref, "refs/heads/")) && p.of(repo)
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
