package schema

import (
	"sync"

	"cuelang.org/go/cue"
)

const (
	// maxVerdicts bounds what is remembered of CUE's answers.
	maxVerdicts = 8192
	// maxRemembered leaves out long texts, in bytes: they are seldom seen twice.
	maxRemembered = 256
)

// verdict is a question to CUE: whether a field can have a value.
type verdict struct {
	field *field
	text  string
	kind  cue.Kind
}

// verdicts remembers what CUE has said, from one load to the next: a call
// changes one value of a file whose others were all seen before. It is safe for
// concurrent use.
type verdicts struct {
	mu   sync.RWMutex
	seen map[verdict]bool
}

// of is what CUE said, or says when it is asked.
func (v *verdicts) of(key verdict, ask func() bool) bool {
	v.mu.RLock()
	ok, known := v.seen[key]
	v.mu.RUnlock()
	if known {
		return ok
	}
	ok = ask()
	if len(key.text) > maxRemembered {
		return ok
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen == nil || len(v.seen) >= maxVerdicts {
		v.seen = map[verdict]bool{}
	}
	v.seen[key] = ok
	return ok
}
