package auth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"bayplan.dev/schema"
)

// How an issuer is asked.
const (
	issuerTimeout = 10 * time.Second
	issuerAnswer  = 1 << 20          // bytes
	issuerRetry   = 10 * time.Second // after it didn't answer
	// Its document and keys are read anew each hour, so that a key that it has
	// withdrawn ends; and believed for a day at most while it doesn't answer.
	issuerFresh = time.Hour
	issuerStale = 24 * time.Hour
	// A token with an unknown key makes us ask for the keys: strangers can send
	// many of those.
	issuerAsksPerSecond, issuerAsksBurst = 0.2, 5
)

// issuerAlgorithms are those that only the issuer can sign with.
var issuerAlgorithms = []string{ //nolint:gochecknoglobals // a table
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Issuer is an OIDC issuer whose tokens are believed.
type Issuer struct {
	// Name ends the actors that it vouches for: alice.corp. It must be a name
	// that no app has.
	Name string `json:"name"`
	// URL is the issuer as its tokens have it in iss; https, but for this machine.
	URL string `json:"url"`
	// Audience is what its tokens must have in aud.
	Audience string `json:"audience"`
	// UserClaim holds the name of the fleet user; dots lead into objects.
	UserClaim string `json:"userClaim"`
	// Scopes are what everybody may that it vouches for.
	Scopes Scopes `json:"scopes,omitempty"`
	// ScopeClaim holds a word or a list, each of which may add scopes.
	ScopeClaim  string            `json:"scopeClaim,omitempty"`
	ScopeValues map[string]Scopes `json:"scopeValues,omitempty"`
}

func (i Issuer) validate() error {
	if err := schema.ValidateName("issuer", i.Name); err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return schema.Errorf(schema.Invalid, "issuer "+i.Name+": "+format, args...)
	}
	u, err := url.Parse(i.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return bad("url %q must be https://host/path", i.URL)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return bad("url %q must begin with https://: who can change what it answers could call as anybody", i.URL)
	case i.Audience == "":
		return bad("give the audience: tokens made for other programs must not open this one")
	case i.UserClaim == "":
		return bad("give userClaim, the claim that holds the name of the fleet user")
	case (i.ScopeClaim == "") != (len(i.ScopeValues) == 0):
		return bad("scopeClaim and scopeValues need each other")
	}
	all := slices.Clone(i.Scopes)
	for _, s := range i.ScopeValues {
		all = append(all, s...)
	}
	if len(all) == 0 {
		return bad("give scopes or scopeValues: its people could do nothing")
	}
	for _, s := range all {
		if !scopes.Has(s) {
			return bad("scope %q must be one of: %s", s, scopes)
		}
	}
	return nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// issuer is an Issuer that can be asked.
type issuer struct {
	Issuer
	client *http.Client
	asking singleflight.Group

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil until the first answer
	answered time.Time             // when verifier was made
	tried    time.Time
}

func newIssuer(v Issuer) *issuer {
	limiter := rate.NewLimiter(issuerAsksPerSecond, issuerAsksBurst)
	return &issuer{Issuer: v, client: &http.Client{
		Timeout:   issuerTimeout,
		Transport: &careful{limiter},
	}}
}

// careful bounds what an issuer is asked and what it answers. Anything but 200
// is an error, a redirect too: whoever the issuer points to isn't the issuer.
type careful struct{ limiter *rate.Limiter }

var errAskedTooOften = errors.New("asked too often; try again in some seconds")

func (c *careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if !c.limiter.Allow() {
		return nil, errAskedTooOften
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(schema.Errorf(schema.Unavailable, "%s answers %s", r.URL.Redacted(), res.Status), res.Body.Close())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, issuerAnswer), res.Body}
	return res, nil
}

// caller checks a token that says that this issuer made it.
func (i *issuer) caller(ctx context.Context, raw string) (Caller, error) {
	v, err := i.ready(ctx)
	if err != nil {
		return Caller{}, err
	}
	var t trouble
	token, err := v.Verify(context.WithValue(ctx, troubleKey{}, &t), raw)
	if err != nil {
		if expired, ok := errors.AsType[*oidc.TokenExpiredError](err); ok && !expired.Expiry.IsZero() {
			return Caller{}, errExpired
		}
		if t.err != nil {
			return Caller{}, schema.Errorf(schema.Unavailable, "issuer %s doesn't give its keys: %w", i.Name, t.err)
		}
		return Caller{}, errBadToken
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return Caller{}, errBadToken
	}
	return i.callerOf(token, claims)
}

// ready returns what checks tokens, after asking the issuer where that is due.
// Many that wait share one question, and it goes on when one of them leaves.
func (i *issuer) ready(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	v, age, due := i.verifier, time.Since(i.answered), time.Since(i.tried) >= issuerRetry
	i.mu.Unlock()
	if v != nil && age < issuerFresh {
		return v, nil
	}
	usable := v != nil && age < issuerStale
	if !due {
		if usable {
			return v, nil
		}
		return nil, schema.Errorf(schema.Unavailable, "issuer %s doesn't answer", i.Name)
	}
	answer := i.asking.DoChan("", func() (any, error) { return i.ask(context.WithoutCancel(ctx)) })
	if usable {
		return v, nil
	}
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, schema.Errorf(schema.Unavailable, "issuer %s doesn't answer: %w", i.Name, a.Err)
		}
		return a.Val.(*oidc.IDTokenVerifier), nil
	case <-ctx.Done():
		return nil, schema.Errorf(schema.Unavailable, "issuer %s: %w", i.Name, ctx.Err())
	}
}

// ask reads the issuer's document; its keys are read when the first token comes.
func (i *issuer) ask(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, i.client), issuerTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, i.URL)
	var document struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err == nil {
		err = provider.Claims(&document)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tried = time.Now()
	if err != nil {
		return nil, err
	}
	algorithms := slices.DeleteFunc(document.Algorithms, func(a string) bool { return !slices.Contains(issuerAlgorithms, a) })
	// The key set keeps the client of its context, not the deadline.
	keys := &keySet{oidc.NewRemoteKeySet(ctx, document.Keys)}
	i.verifier = oidc.NewVerifier(i.URL, keys, &oidc.Config{
		ClientID: i.Audience, SupportedSigningAlgs: algorithms,
		Now: func() time.Time { return time.Now().Add(-leeway) },
	})
	i.answered = i.tried
	return i.verifier, nil
}

// keySet tells a signature that is wrong from keys that can't be had.
type keySet struct{ keys *oidc.RemoteKeySet }

type troubleKey struct{}

// trouble is where keySet leaves an error for caller: the verifier between them drops it.
type trouble struct{ err error }

func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	payload, err := k.keys.VerifySignature(ctx, raw)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		if t, ok := ctx.Value(troubleKey{}).(*trouble); ok {
			t.err = failed
		}
	}
	return payload, err
}
