package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5/middleware"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// Login is what an app sends to speak for one of its users.
type Login struct {
	App string `json:"app" maxLength:"64" doc:"The app's name." example:"console"`
	Key string `json:"key" maxLength:"256" doc:"The app's key." example:"bayplan_…"`
	UID string `json:"uid" maxLength:"64" doc:"The user, as the app knows it. The fleet user is <app>-<uid>, or uid itself where the operator lets the app speak for it." example:"alice"`
	GID string `json:"gid,omitempty" maxLength:"64" doc:"Goes into the token as it is."`
	// Renewable is for people at a page, who have no key to show again.
	Renewable bool `json:"renewable,omitempty" doc:"Ask for a token that POST /auth/renew prolongs, up to a day."`
}

// Token is a token that an app has got.
type Token struct {
	Token   string      `json:"token"`
	Expires time.Time   `json:"expires_at"`
	User    schema.User `json:"user" doc:"The fleet user that it speaks for."`
	// Renewable says what POST /auth/renew does with it.
	Renewable bool `json:"renewable,omitempty" doc:"POST /auth/renew prolongs it."`
}

func viewToken(t auth.Token) *tokenOutput {
	return &tokenOutput{Body: Token{Token: t.Token, Expires: t.Expires.UTC(), User: t.User, Renewable: t.Renewable}}
}

// Identity is who the API takes a caller for.
type Identity struct {
	Actor    string      `json:"actor" doc:"Stands in logs and commits."`
	User     schema.User `json:"user" doc:"The fleet user that it speaks for; empty for an admin that speaks for none."`
	Scopes   auth.Scopes `json:"scopes" nullable:"false"`
	Expires  *time.Time  `json:"expires_at,omitempty" doc:"When the token ends; absent when nobody is asked for one."`
	OnBehalf bool        `json:"on_behalf,omitempty" doc:"An admin acts for the user."`
	// Renewable is as of the Token.
	Renewable bool `json:"renewable,omitempty" doc:"POST /auth/renew prolongs the token."`
}

type loginInput struct {
	Body Login
}

type tokenOutput struct {
	Body Token
}

type identityOutput struct {
	Body Identity
}

func (a *API) authRoutes() {
	huma.Register(a.api, huma.Operation{
		Method: http.MethodPost, Path: authPath, OperationID: "login", Summary: "Change an app's key for a token", Tags: []string{"auth"},
		Description: "The token speaks for one user of the app. It is sent as Authorization: Bearer.",
		Responses:   a.orProblem(nil), Security: []map[string][]string{},
	}, a.login)
	huma.Register(a.api, huma.Operation{
		Method: http.MethodGet, Path: authPath, OperationID: "get-identity", Summary: "Ask who the API takes you for", Tags: []string{"auth"},
		Responses: a.orProblem(nil), Security: []map[string][]string{{"bearer": {}}},
	}, whoami)
	a.signInRoutes()
	a.forgetErrorModel()
	a.plain(a.router.With(bounded), huma.Operation{
		Method: http.MethodGet, Path: authPath + "/keys", OperationID: "get-keys", Summary: "Read the public keys of the API's tokens", Tags: []string{"auth"},
		Responses: map[string]*huma.Response{"200": content("A JSON Web Key Set (RFC 7517).", "application/jwk-set+json", &huma.Schema{Type: huma.TypeObject})},
		Security:  []map[string][]string{},
	}, a.serveKeys)
}

func (a *API) login(ctx context.Context, in *loginInput) (*tokenOutput, error) {
	if a.opts.Auth == nil {
		return nil, unauthenticated("no apps are known here, and nobody is asked for a token", "")
	}
	t, err := a.opts.Auth.Login(auth.Login{
		App: in.Body.App, Key: in.Body.Key, UID: in.Body.UID, GID: in.Body.GID, Renewable: in.Body.Renewable,
	})
	if errors.Is(err, auth.ErrDenied) {
		from := middleware.GetClientIPAddr(ctx)
		a.brake.wrong(networkOf(from), time.Now())
		a.log.WarnContext(ctx, "login refused", "remote", from, "request", requestIDOf(ctx))
	}
	if err = a.authenticated(ctx, byApp, err); err != nil {
		return nil, a.fail(ctx, err)
	}
	a.log.InfoContext(ctx, "token issued", "actor", in.Body.UID+"."+in.Body.App, "user", t.User, "request", requestIDOf(ctx))
	return viewToken(t), nil
}

func whoami(ctx context.Context, _ *struct{}) (*identityOutput, error) {
	c, _ := auth.CallerOf(ctx)
	out := &identityOutput{Body: Identity{Actor: c.Actor, User: c.User, Scopes: c.Scopes, OnBehalf: c.OnBehalf, Renewable: c.Renewable}}
	if !c.Expires.IsZero() {
		ends := c.Expires.UTC()
		out.Body.Expires = &ends
	}
	return out, nil
}

func (a *API) serveKeys(w http.ResponseWriter, r *http.Request) {
	var set any = struct {
		Keys []struct{} `json:"keys"`
	}{[]struct{}{}}
	if a.opts.Auth != nil {
		set = a.opts.Auth.Keys()
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	if err := json.NewEncoder(w).Encode(set); err != nil {
		a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
}
