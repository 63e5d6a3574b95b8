package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"bayplan.dev/schema"
)

const (
	// maxAppName leaves room for a user behind it.
	maxAppName = schema.MaxUserLength - 4
	// maxKeys is how many keys an app may have at once: the old and the new one, and some more.
	maxKeys = 4
	// everybody, among an app's platform users, is every user that is no app's own.
	everybody = "*"

	keyPrefix  = "bayplan_"
	hashPrefix = "sha256:"
)

// App is a program that speaks for users: its own, and those of the platform
// that the operator lists.
type App struct {
	Name string `json:"name"`
	// KeyHashes are "sha256:" and the hash in hex of each key that it may show;
	// two while a key is being changed.
	KeyHashes []string `json:"keyHashes"`
	// PlatformUsers are fleet users that it may speak for by their own names;
	// "*" is everybody who is no app's own user.
	PlatformUsers []schema.User `json:"platformUsers,omitempty"`
	// Scopes bound what its tokens may; read and write when empty.
	Scopes Scopes `json:"scopes,omitempty"`
}

// NewKey makes a key of 256 random bits, and its hash for the operator's file.
// Its beginning lets scanners find keys that have got out.
func NewKey() (key, hash string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return key, HashKey(key)
}

// HashKey is the hash of a key as it stands in the operator's file.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// app is an App as the rules use it.
type app struct {
	name   string
	keys   [maxKeys][sha256.Size]byte
	count  int
	users  []schema.User
	scopes Scopes
}

// opens reports whether key is one of the app's. It takes as long for any app
// and key, for an app that doesn't exist as well: ask nobody then.
func (a *app) opens(key string) bool {
	sum := sha256.Sum256([]byte(key))
	found := 0
	for i := range a.keys {
		found |= subtle.ConstantTimeCompare(sum[:], a.keys[i][:]) & subtle.ConstantTimeLessOrEq(i+1, a.count)
	}
	return found == 1
}

// nobody stands for every app that doesn't exist: it has no key.
func nobody() *app { return &app{} }

// userOf is the fleet user that uid of the app is: itself, where the operator
// says so, else the app's own.
func (a *app) userOf(uid string, r *rules) (schema.User, error) {
	own := schema.User(a.name + "-" + uid)
	if u := schema.User(uid); slices.Contains(a.users, u) || slices.Contains(a.users, everybody) {
		own = u
		if holder, held := r.holder(u); held {
			return "", schema.Errorf(schema.Invalid, "uid: %q is a user of the app %s", uid, holder)
		}
	}
	if err := own.Validate(); err != nil {
		return "", schema.Errorf(schema.Invalid, "uid: %w", err)
	}
	return own, nil
}

// build checks what the file says of an app. It never repeats a key hash,
// since somebody may have put the key itself there.
func (a App) build() (*app, error) {
	if err := schema.ValidateName("app", a.Name); err != nil {
		return nil, err
	}
	if len(a.Name) > maxAppName {
		return nil, schema.Errorf(schema.Invalid, "app %s: the name has more than %d characters, which leaves too few for its users'", a.Name, maxAppName)
	}
	built := &app{name: a.Name, users: a.PlatformUsers, scopes: a.Scopes.tidy()}
	if len(a.KeyHashes) == 0 || len(a.KeyHashes) > maxKeys {
		return nil, schema.Errorf(schema.Invalid, "app %s: keyHashes has %d entries, must have 1 to %d", a.Name, len(a.KeyHashes), maxKeys)
	}
	for i, text := range a.KeyHashes {
		digits, ok := strings.CutPrefix(text, hashPrefix)
		sum, err := hex.DecodeString(digits)
		if !ok || err != nil || len(sum) != sha256.Size {
			return nil, schema.Errorf(schema.Invalid, "app %s: keyHashes[%d] must be %s and 64 hexadecimal digits", a.Name, i, hashPrefix)
		}
		copy(built.keys[i][:], sum)
		built.count++
	}
	for _, u := range a.PlatformUsers {
		if err := u.Validate(); u != everybody && err != nil {
			return nil, schema.Errorf(schema.Invalid, "app %s: platformUsers: %w", a.Name, err)
		}
	}
	for _, s := range a.Scopes {
		if !scopes.Has(s) {
			return nil, schema.Errorf(schema.Invalid, "app %s: scope %q must be one of: %s", a.Name, s, scopes)
		}
	}
	if len(built.scopes) == 0 {
		built.scopes = Scopes{Read, Write}
	}
	return built, nil
}
