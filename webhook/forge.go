package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// Forge is a kind of Git server that sends hooks.
type Forge string

// The forges; Generic is anything that can compute an HMAC, such as a
// post-receive hook with curl.
const (
	GitHub  Forge = "github"
	GitLab  Forge = "gitlab"
	Gitea   Forge = "gitea"
	Forgejo Forge = "forgejo"
	Generic Forge = "generic"
)

// Forges are all forges.
var Forges = []Forge{GitHub, GitLab, Gitea, Forgejo, Generic} //nolint:gochecknoglobals // a table

// Secret is what a forge and this server share. It prints as a placeholder, so
// that no log or error gives it away.
type Secret string

const redacted = "[secret]"

func (Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return redacted }

// LogValue hides the secret from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// signatureWindow is how far a signed time may be off, to either side.
const signatureWindow = 5 * time.Minute

// errSignature says no more than it must.
var errSignature = schema.Errorf(schema.Forbidden, "the signature is missing or wrong")

// verify returns a Forbidden error unless whoever made the request knows the
// secret. It reads the raw bytes: nothing is parsed before it returns nil. Gitea
// and Forgejo sign what is in a form, the others the form.
func (f Forge) verify(h http.Header, body []byte, secret Secret, now time.Time) error {
	ok := false
	switch f {
	case GitHub:
		ok = verifyHex(h.Get("X-Hub-Signature-256"), "sha256=", body, secret)
	case Gitea:
		ok = verifyHex(h.Get("X-Gitea-Signature"), "", within(h, body), secret)
	case Forgejo:
		signature := cmp.Or(h.Get("X-Forgejo-Signature"), h.Get("X-Gitea-Signature"))
		ok = verifyHex(signature, "", within(h, body), secret)
	case GitLab:
		if h.Get("Webhook-Signature") != "" {
			return verifyStandard(h, body, secret, now)
		}
		ok = sameToken(h.Get("X-Gitlab-Token"), secret)
	case Generic:
		ok = verifyHex(h.Get("X-Bayplan-Signature"), "sha256=", body, secret)
	}
	if !ok {
		return errSignature
	}
	return nil
}

func verifyHex(header, prefix string, body []byte, secret Secret) bool {
	digits, ok := strings.CutPrefix(header, prefix)
	if !ok || secret == "" {
		return false
	}
	got, err := hex.DecodeString(digits)
	return err == nil && hmac.Equal(got, sum([]byte(secret), body))
}

// sameToken compares hashes, so that the time tells nothing, the length included.
func sameToken(token string, secret Secret) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(secret))
	return secret != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// verifyStandard checks a signature as standardwebhooks.com has it, which
// GitLab sends since it has signing tokens: "v1,<base64>" over id, time and
// body. While a secret is changed there may be several.
func verifyStandard(h http.Header, body []byte, secret Secret, now time.Time) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	key, err := signingKey(secret)
	if err != nil {
		return err
	}
	want := sum(key, []byte(id+"."+stamp+"."), body)
	ok := false
	for signature := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		if encoded, v1 := strings.CutPrefix(signature, "v1,"); v1 {
			got, err := base64.StdEncoding.DecodeString(encoded)
			ok = ok || err == nil && hmac.Equal(got, want)
		}
	}
	if !ok || len(key) == 0 {
		return errSignature
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errSignature
	}
	if off := now.Sub(time.Unix(seconds, 0)).Abs(); off > signatureWindow {
		return schema.Errorf(schema.Forbidden, "the signature is of another time; is a clock wrong?")
	}
	return nil
}

func signingKey(secret Secret) ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(secret), "whsec_")
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, schema.Errorf(schema.Internal, "the signing secret is not whsec_ and base64")
	}
	return key, nil
}

func sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// delivery is the id of one delivery, which the forge repeats when it tries
// again; empty when it has none.
func (f Forge) delivery(h http.Header) string {
	for _, name := range deliveryHeaders[f] {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return ""
}

var deliveryHeaders = map[Forge][]string{ //nolint:gochecknoglobals // a table
	GitHub: {"X-Github-Delivery"},
	// Not X-Gitlab-Event-Uuid: hooks that follow from another one share its.
	GitLab:  {"Webhook-Id", "Idempotency-Key", "X-Gitlab-Webhook-Uuid"},
	Gitea:   {"X-Gitea-Delivery"},
	Forgejo: {"X-Forgejo-Delivery", "X-Gitea-Delivery"},
	Generic: {"X-Bayplan-Delivery"},
}

var eventHeaders = map[Forge]string{ //nolint:gochecknoglobals // a table
	GitHub:  "X-Github-Event",
	GitLab:  "X-Gitlab-Event",
	Gitea:   "X-Gitea-Event",
	Forgejo: "X-Forgejo-Event",
}

// systemHook is the event of all hooks of a whole GitLab: what has happened is
// in the payload.
const systemHook = "system hook"

// read is what a verified hook says: what has happened, in the forge's words and
// in lower case, and what of the payload counts.
func (f Forge) read(h http.Header, body []byte) (event string, p push) {
	event, p = strings.ToLower(h.Get(eventHeaders[f])), parsePush(within(h, body))
	if event == systemHook {
		event = strings.ToLower(p.kind())
	}
	return event, p
}

// wake says who has something to look at.
type wake struct{ loop, reviewer bool }

// wakes are the events, as all forges name them, that are more than noise. What
// has no name may be a push. A review's own comments and statuses have events
// too: they mustn't wake it.
var wakes = map[string]wake{ //nolint:gochecknoglobals // a table
	"":                   {loop: true, reviewer: true},
	"push":               {loop: true, reviewer: true},
	"push hook":          {loop: true, reviewer: true},
	"repository_update":  {loop: true, reviewer: true},
	"pull_request":       {reviewer: true},
	"merge_request":      {reviewer: true},
	"merge request hook": {reviewer: true},
}
