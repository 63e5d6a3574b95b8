package review

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What stands for a value that isn't shown, and for one that differs from before.
const (
	hidden        = "(hidden)"
	hiddenChanged = "(hidden, changed)"
)

// tokenPattern knows what well-known secrets look like.
var tokenPattern = regexp.MustCompile(`PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_|\bglpat-|\bxox[abprs]-|\b[sr]k_live_|\beyJ[\w-]{10,}\.|://[^/\s:@]*:[^/\s@]+@`)

// argumentPattern knows arguments whose name says that their value is a secret.
var argumentPattern = regexp.MustCompile(`(?i)(pass(wd|word|phrase)?|secret|token|key|credentials?|auth(orization)?)["']?\s*[:=]\s*\S|\bbearer\s`)

// flagPattern knows flags whose value, which follows, is a secret.
var flagPattern = regexp.MustCompile(`(?i)^-+[\w-]*(pass(wd|word|phrase)?|secret|token|key|credentials?)$`)

// veil replaces what of a value must not be shown. The path says what it is.
func veil(at path, v any) any {
	switch list := at.from(1); {
	case secretPlace(at):
		return hidden
	case list == "command" || list == "args":
		if words, ok := v.([]any); ok {
			return veilWords(words)
		}
	}
	if s, ok := v.(string); ok && token(at, s) {
		return hidden
	}
	return v
}

// token says whether a text looks like a secret. Images never do: a name that
// looks so would hide what runs.
func token(at path, s string) bool { return at.from(1) != "image" && tokenPattern.MatchString(s) }

// secretPlace says whether nothing that stands there is shown: the value of a
// variable or of a header.
func secretPlace(at path) bool {
	list := at.from(3)
	return at.from(1) == "value" && (list == "env" || list == "httpHeaders")
}

func veilWords(words []any) []any {
	out := slices.Clone(words)
	for i, w := range words {
		word, ok := w.(string)
		before, _ := index(words, i-1).(string)
		if ok && (tokenPattern.MatchString(word) || argumentPattern.MatchString(word) ||
			flagPattern.MatchString(before) && !strings.HasPrefix(word, "-")) {
			out[i] = hidden
		}
	}
	return out
}

// veilObject is a copy of the object that shows no secrets. Where a hidden
// value differs from that of the other object, which may be nil, it says so.
func veilObject(o, other *unstructured.Unstructured) map[string]any {
	var before any
	if other != nil {
		before = other.Object
	}
	v := veiler{data: o.GetKind() == "ConfigMap"}
	copied, _ := v.value(nil, o.Object, before).(map[string]any)
	return copied
}

// veiler copies a value and hides what is secret in it.
type veiler struct {
	// data says that what a ConfigMap holds is hidden.
	data bool
}

func (v veiler) value(at path, now, before any) any {
	switch n := now.(type) {
	case map[string]any:
		old, _ := before.(map[string]any)
		out := make(map[string]any, len(n))
		for key, value := range n {
			out[key] = v.value(at.with(key), value, old[key])
		}
		return out
	case []any:
		if name := at.from(1); name == "command" || name == "args" {
			return v.words(n, before)
		}
		out := make([]any, len(n))
		for i, e := range n {
			out[i] = v.value(at.with("[]"), e, counterpart(e, before, i))
		}
		return out
	case string:
		secret := secretPlace(at) || token(at, n) ||
			v.data && len(at) > 1 && (at[0] == "data" || at[0] == "binaryData")
		if secret {
			return veiled(n, before)
		}
	}
	return now
}

func (v veiler) words(words []any, before any) []any {
	out := veilWords(words)
	old, _ := before.([]any)
	for i := range out {
		if out[i] == hidden {
			out[i] = veiled(words[i], index(old, i))
		}
	}
	return out
}

func veiled(now, before any) string {
	if before != nil && before != now {
		return hiddenChanged
	}
	return hidden
}

// counterpart is the entry of the other list with the same name, or at the same place.
func counterpart(entry, list any, i int) any {
	others, _ := list.([]any)
	m, ok := entry.(map[string]any)
	if !ok || m["name"] == nil {
		return index(others, i)
	}
	for _, o := range others {
		if other, ok := o.(map[string]any); ok && other["name"] == m["name"] {
			return o
		}
	}
	return nil
}
