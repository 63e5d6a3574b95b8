package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5/middleware"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// What tickets are for.
const (
	forStream  = "stream"
	forConsole = "console"
)

// TicketRequest says what a ticket is for.
type TicketRequest struct {
	For string `json:"for,omitempty" enum:"stream,console" doc:"stream, where nothing is said: for ?ticket= of one stream or download. console: a code that POST /auth/code exchanges for the caller's token, to sign in to a page."`
}

// Ticket opens one stream, or signs in to one page.
type Ticket struct {
	Ticket  string    `json:"ticket" doc:"For ?ticket= of one stream, or the code for POST /auth/code."`
	Expires time.Time `json:"expires_at"`
}

// Code is what a page was opened with.
type Code struct {
	Code string `json:"code" maxLength:"64" doc:"Of POST /auth/ticket for the console; good once, for a minute."`
}

type ticketInput struct {
	Authorization string `header:"Authorization" hidden:"true"`
	Body          *TicketRequest
}

type ticketOutput struct {
	Body Ticket
}

type codeInput struct {
	Body Code
}

type renewInput struct {
	Authorization string `header:"Authorization" hidden:"true"`
}

func (a *API) signInRoutes() {
	byBearer := []map[string][]string{{"bearer": {}}}
	huma.Register(a.api, huma.Operation{
		Method: http.MethodPost, Path: ticketPath, OperationID: "create-ticket", Summary: "Get a ticket for one stream, or a code to sign in to a page", Tags: []string{"auth"},
		Description: "Browsers can't send a header with a WebSocket. A ticket goes into its URL instead: it can be used once, within 30 seconds. " +
			"A ticket for the console goes behind the # of the page's address, which no server is sent: it can be used once, within a minute.",
		Responses: a.orProblem(nil), Security: byBearer,
	}, a.issueTicket)
	huma.Register(a.api, huma.Operation{
		Method: http.MethodPost, Path: codePath, OperationID: "exchange-code", Summary: "Exchange a code for the token that it was made with", Tags: []string{"auth"},
		Responses: a.orProblem(nil), Security: []map[string][]string{},
	}, a.exchangeCode)
	huma.Register(a.api, huma.Operation{
		Method: http.MethodPost, Path: renewPath, OperationID: "renew-token", Summary: "Prolong a renewable token", Tags: []string{"auth"},
		Description: "The new token says what the old one does and ends later, but no later than a day after the login. The old one stays good until its end.",
		Responses:   a.orProblem(nil), Security: byBearer,
	}, a.renewToken)
}

func (a *API) issueTicket(ctx context.Context, in *ticketInput) (*ticketOutput, error) {
	c, _ := auth.CallerOf(ctx)
	var text string
	var ends time.Time
	var err error
	if in.Body != nil && in.Body.For == forConsole {
		text, ends, err = a.issueCode(c, bearerOf(in.Authorization))
	} else {
		text, ends, err = a.tickets.Issue(c)
	}
	if err != nil {
		return nil, a.fail(ctx, err)
	}
	return &ticketOutput{Body: Ticket{Ticket: text, Expires: ends.UTC()}}, nil
}

// issueCode makes a code for the token that the caller has just shown.
func (a *API) issueCode(c auth.Caller, raw string) (string, time.Time, error) {
	switch {
	case a.opts.Auth == nil:
		return "", time.Time{}, schema.Errorf(schema.Invalid, "nobody is asked who they are here: open the page without a code")
	case c.OnBehalf:
		return "", time.Time{}, schema.Errorf(schema.Invalid, "a code signs the caller in, not %s: leave out %s", c.User, userHeader)
	}
	return a.codes.Issue(c, raw)
}

// SignIn makes a code by which a page gets the token, as POST /auth/ticket does
// for the console. Errors are those of a bad token, and Unavailable when too
// many codes are waiting.
func (a *API) SignIn(ctx context.Context, raw string) (code string, err error) {
	if a.opts.Auth == nil {
		return "", schema.Errorf(schema.Invalid, "nobody is asked who they are here")
	}
	c, err := a.opts.Auth.Caller(ctx, raw)
	if err != nil {
		return "", err
	}
	code, _, err = a.codes.Issue(c, raw)
	return code, err
}

func (a *API) exchangeCode(ctx context.Context, in *codeInput) (*tokenOutput, error) {
	if a.opts.Auth == nil {
		return nil, unauthenticated("nobody is asked for a token here", "")
	}
	t, err := a.codes.Redeem(in.Body.Code)
	var c auth.Caller
	if err == nil {
		// It may have been revoked since.
		c, err = a.opts.Auth.Caller(ctx, t.Token)
	}
	if errors.Is(err, auth.ErrDenied) {
		// Nobody guesses 130 bits: it is late, or the page was opened again.
		a.log.WarnContext(ctx, "code refused", "remote", middleware.GetClientIPAddr(ctx), "request", requestIDOf(ctx))
	}
	if err = a.authenticated(ctx, byCode, err); err != nil {
		return nil, a.fail(ctx, err)
	}
	a.log.InfoContext(ctx, "signed in", "actor", c.Actor, "user", c.User, "request", requestIDOf(ctx))
	return viewToken(t), nil
}

func (a *API) renewToken(ctx context.Context, in *renewInput) (*tokenOutput, error) {
	if a.opts.Auth == nil {
		return nil, a.fail(ctx, schema.Errorf(schema.Invalid, "nobody is asked for a token here"))
	}
	t, err := a.opts.Auth.Renew(bearerOf(in.Authorization))
	if err = a.authenticated(ctx, byToken, err); err != nil {
		return nil, a.fail(ctx, err)
	}
	return viewToken(t), nil
}
