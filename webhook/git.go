package webhook

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"bayplan.dev/webhook/auth"
)

// gitCaller is who clones or pushes: git sends the token as a password, with
// any user name, once it has been asked for one.
func (a *API) gitCaller(r *http.Request) (auth.Caller, error) {
	token := bearer(r)
	if _, password, ok := r.BasicAuth(); ok {
		token = password
	}
	// What follows hands the request to git, which has no use for it.
	r.Header.Del("Authorization")
	c, err := a.credentials(r, token)
	if err != nil {
		return c, err
	}
	reads := fetches(r)
	err = errors.Join(a.pace(c, reads), needs(c, auth.Git))
	if !reads {
		err = errors.Join(err, needs(c, auth.Write))
	}
	return c, err
}

// fetches reports whether a request can't change anything. Whatever isn't
// known to is taken for a push.
func fetches(r *http.Request) bool {
	if r.Method == http.MethodPost {
		return r.URL.Path == gitPath+"/git-upload-pack"
	}
	return r.URL.Query().Get("service") == "git-upload-pack" && strings.HasSuffix(r.URL.Path, "/info/refs")
}

// refuseGit answers in plain text, which git shows to its user.
func (a *API) refuseGit(w http.ResponseWriter, r *http.Request, err error) {
	p := a.fail(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	if p.Status == http.StatusUnauthorized {
		// git asks for a password only when it sees this.
		w.Header().Set("WWW-Authenticate", `Basic realm="bayplan", charset="UTF-8"`)
		p.Detail = "send a token as the password; any user name will do"
	}
	http.Error(w, p.Detail, p.Status)
}
