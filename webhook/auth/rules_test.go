package auth

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

func TestRulesAreChecked(t *testing.T) {
	hash := HashKey("k")
	app := func(more string) string { return "apps: [{name: shop, keyHashes: [" + hash + "]" + more + "}]" }
	for name, test := range map[string]struct{ text, want string }{
		"one app":            {app(""), ""},
		"no apps":            {"apps: []", ""},
		"only revocations":   {"revoked: [{user: alice}]", ""},
		"a new key":          {"apps: [{name: shop, keyHashes: [" + hash + ", " + hash + "]}]", ""},
		"empty":              {" \n", "the file is empty"},
		"not YAML":           {"apps: [", "line 1"},
		"an unknown field":   {app(", keys: [a]"), `unknown field "keys"`},
		"a bad name":         {"apps: [{name: Shop, keyHashes: [" + hash + "]}]", "must match"},
		"a long name":        {"apps: [{name: seventeen-letters, keyHashes: [" + hash + "]}]", "more than 16"},
		"no key":             {"apps: [{name: shop}]", "keyHashes has 0 entries"},
		"too many keys":      {"apps: [{name: shop, keyHashes: [a, b, c, d, e]}]", "keyHashes has 5 entries"},
		"the key itself":     {"apps: [{name: shop, keyHashes: [bayplan_secret]}]", "keyHashes[0] must be sha256:"},
		"half a hash":        {"apps: [{name: shop, keyHashes: ['sha256:secret0123']}]", "keyHashes[0] must be sha256:"},
		"no such scope":      {app(", scopes: [root]"), `scope "root" must be one of: read write git admin`},
		"no such user":       {app(", platformUsers: [A]"), "platformUsers"},
		"twice":              {"apps: [{name: shop, keyHashes: [" + hash + "]}, {name: shop, keyHashes: [" + hash + "]}]", "shop is there twice"},
		"a prefix":           {"apps: [{name: shop, keyHashes: [" + hash + "]}, {name: shop-two, keyHashes: [" + hash + "]}]", "app shop-two: its users could be those of the app shop"},
		"no prefix":          {"apps: [{name: shop, keyHashes: [" + hash + "]}, {name: shopping, keyHashes: [" + hash + "]}]", ""},
		"another's user":     {"apps: [{name: shop, keyHashes: [" + hash + "]}, {name: ops, keyHashes: [" + hash + "], platformUsers: [shop-bob]}]", "shop-bob is a user of the app shop"},
		"nothing to revoke":  {"revoked: [{before: 2026-11-21T00:00:00Z}]", "revoked[0]: must have exactly one"},
		"two to revoke":      {"revoked: [{user: alice, app: shop}]", "revoked[0]: must have exactly one"},
		"a bad time":         {"revoked: [{user: alice, before: yesterday}]", "yesterday"},
		"too large":          {"# " + strings.Repeat("x", maxFile), "more than 1048576 bytes"},
		"everything at once": {"apps: [{name: A}, {name: shop}]\nrevoked: [{}]", "keyHashes has 0 entries"},
	} {
		_, err := parseRules([]byte(test.text))
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case test.want != "" && (schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: tells the key: %v", name, err)
		}
	}
}

// Whatever apps a file lets in, no two pairs of app and uid are the same fleet
// user, unless the operator has given it to both.
func TestUsersOfAppsAreDistinct(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := func(least int) string {
		var b strings.Builder
		for range least + random.IntN(4) {
			b.WriteByte("ab-"[random.IntN(3)])
		}
		return b.String()
	}
	kept := 0
	for range 20_000 {
		var text strings.Builder
		text.WriteString("apps:\n")
		for range 2 + random.IntN(2) {
			fmt.Fprintf(&text, "- {name: %q, keyHashes: [%s]}\n", letters(1), HashKey("k"))
		}
		r, err := parseRules([]byte(text.String()))
		if err != nil {
			continue
		}
		kept++
		whose := map[schema.User]string{}
		for _, a := range r.apps {
			for range 30 {
				uid := letters(1)
				user, err := a.userOf(uid, r)
				if err != nil {
					continue
				}
				actor := uid + "." + a.name
				if first, ok := whose[user]; ok && first != actor {
					t.Fatalf("%s is %s and %s", user, first, actor)
				}
				whose[user] = actor
			}
		}
	}
	if kept < 100 {
		t.Errorf("only %d files of apps were good", kept)
	}
}

func TestNewKey(t *testing.T) {
	key, hash := NewKey()
	again, _ := NewKey()
	if key == again || len(key) != len(keyPrefix)+43 || HashKey(key) != hash || len(hash) != len(hashPrefix)+64 {
		t.Errorf("got %s, %s", key, hash)
	}
	r, err := parseRules([]byte("apps: [{name: shop, keyHashes: [" + hash + "]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if !r.apps["shop"].opens(key) || r.apps["shop"].opens(again) || r.apps["shop"].opens("") {
		t.Error("the key doesn't open the app, or another does")
	}
}
