package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bayplan.dev/schema"
)

// ours is the issuer and the audience of our tokens where nothing else is said.
const ours = "bayplan"

// Options are what the operator decides. Log and File or Issuers are required.
type Options struct {
	Log *slog.Logger
	// File lists the apps and what is revoked; empty means no apps.
	File string
	// KeyFile holds the Ed25519 key that signs tokens, as PEM; required with
	// File. MakeKey makes it where it isn't there yet.
	KeyFile string
	MakeKey bool
	// AcceptKeyFiles hold keys, public or private, whose tokens are accepted as
	// well: the next key before KeyFile changes, the last one after.
	AcceptKeyFiles []string
	// Issuer and Audience go into our tokens; "bayplan" when empty.
	Issuer, Audience string
	// Lifetime is how long our tokens are good for: 1 minute to 24 hours; 15 minutes when 0.
	Lifetime time.Duration
	// Issuers are the OIDC issuers that are believed.
	Issuers []Issuer
}

// Guard knows who may call. It is safe for concurrent use.
type Guard struct {
	options Options
	log     *slog.Logger
	keys    *keyring // nil without apps
	issuers map[string]*issuer
	rules   atomic.Pointer[rules]
	// broken is why the file of now isn't followed; nil when it is.
	broken atomic.Pointer[error]
	// read is the text of the file that was last looked at; only Run changes it.
	read []byte
}

// New reads what the options name. It asks nobody else: an issuer that is down
// keeps its own people out and nobody else.
func New(o Options) (*Guard, error) {
	if o.Issuer == "" {
		o.Issuer = ours
	}
	if o.Audience == "" {
		o.Audience = ours
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	switch {
	case o.Lifetime < minLifetime || o.Lifetime > maxLifetime:
		return nil, schema.Errorf(schema.Invalid, "lifetime of tokens %s is not within %s and %s", o.Lifetime, minLifetime, maxLifetime)
	case o.File == "" && len(o.Issuers) == 0:
		return nil, schema.Errorf(schema.Invalid, "give a file of apps or an OIDC issuer: nobody could call")
	case o.File != "" && o.KeyFile == "":
		return nil, schema.Errorf(schema.Invalid, "give the file of the key that signs the tokens of the apps in %s", o.File)
	}
	g := &Guard{options: o, log: o.Log, issuers: map[string]*issuer{}}
	if err := g.addIssuers(); err != nil {
		return nil, err
	}
	if o.KeyFile != "" {
		keys, err := openKeyring(o.KeyFile, o.MakeKey, o.AcceptKeyFiles)
		if err != nil {
			return nil, err
		}
		g.keys = keys
	}
	r, text, err := readRules(o.File)
	if err == nil {
		err = g.distinct(r)
	}
	if err != nil {
		return nil, err
	}
	g.read = text
	g.rules.Store(r)
	return g, nil
}

func (g *Guard) addIssuers() error {
	names := map[string]bool{}
	var errs []error
	for _, v := range g.options.Issuers {
		err := v.validate()
		switch {
		case err != nil:
			errs = append(errs, err)
		case names[v.Name] || g.issuers[v.URL] != nil || v.URL == g.options.Issuer:
			errs = append(errs, schema.Errorf(schema.Invalid, "issuer %s: its name or URL is there twice", v.Name))
		}
		names[v.Name] = true
		g.issuers[v.URL] = newIssuer(v)
	}
	return errors.Join(errs...)
}

// distinct keeps actors apart: what vouches for one is the end of its name.
func (g *Guard) distinct(r *rules) error {
	for _, i := range g.options.Issuers {
		if r.apps[i.Name] != nil {
			return schema.Errorf(schema.Invalid, "app %s: an issuer has this name; rename one of them", i.Name)
		}
	}
	return nil
}

// Caller says whose token it is. The error is an ErrDenied when it is nobody's
// any more or never was, Forbidden when its owner has no place here, and
// Unavailable when its issuer can't be asked now.
func (g *Guard) Caller(ctx context.Context, token string) (Caller, error) {
	from, ok := issuerOf(token)
	if !ok {
		return Caller{}, errBadToken
	}
	if from == g.options.Issuer && g.keys != nil {
		c, err := g.own(token)
		if err != nil {
			return Caller{}, err
		}
		return c, nil
	}
	i := g.issuers[from]
	if i == nil {
		return Caller{}, errBadToken
	}
	c, err := i.caller(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	if err := g.rules.Load().allows(c, true); err != nil {
		return Caller{}, err
	}
	return c, nil
}

// Check says, without asking anybody, whether somebody who was let in may stay:
// an ErrDenied when its token has ended or was taken back.
func (g *Guard) Check(c Caller) error {
	if !c.Expires.IsZero() && time.Now().After(c.Expires) {
		return errExpired
	}
	_, source := c.source()
	issued := false
	for _, i := range g.options.Issuers {
		issued = issued || i.Name == source
	}
	return g.rules.Load().allows(c, issued)
}

// Keys are the public keys of our tokens, for others that check them.
func (g *Guard) Keys() jose.JSONWebKeySet {
	if g.keys == nil {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	}
	return g.keys.set()
}

// Broken is why the file as it is now isn't followed, but the last one that
// could be; nil when all is well.
func (g *Guard) Broken() error {
	if err := g.broken.Load(); err != nil {
		return *err
	}
	return nil
}
