package gitsync

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// Trailers that the Writer itself sets.
const (
	OperationTrailer      = "Operation"
	IdempotencyKeyTrailer = "Idempotency-Key"
)

// Trailer is one "Key: value" line at the end of a commit's message.
type Trailer struct{ Key, Value string }

// Change is a commit to be: a mutation of the tree and what is to be said of it.
type Change struct {
	// Author and AuthorEmail are the caller; the committer is always Bayplan.
	Author      string
	AuthorEmail string
	// Subject is the first line of the message.
	Subject string
	// Trailers follow those of the Writer. Control characters, line breaks among
	// them, become blanks.
	Trailers []Trailer
	// IdempotencyKey makes of any number of calls one commit; empty for none. It
	// is to hold who calls: a key names the same commit whoever shows it.
	IdempotencyKey string
	// Operation is unique to the Change; one is drawn when it is empty.
	Operation string
	// Mutate edits the tree. It is called again on a new tree whenever somebody
	// else was faster, so it has no other effect. Its error is returned as it is,
	// and nothing is committed.
	Mutate func(*View) error
}

// Committed is what became of a Change.
type Committed struct {
	// Revision is the commit; of an Unchanged one the commit that was there already.
	Revision  schema.Revision
	Operation string
	// Author ("Name <mail>"), Time and Subject are those of the commit; empty
	// when there is none.
	Author  string
	Time    time.Time
	Subject string
	// Unchanged says that the tree already was as the Change wants it: there is
	// no commit for it.
	Unchanged bool
	// Repeated says that an earlier call with the same key made the commit.
	Repeated bool
	// AwaitingReview says that the commit is on a branch of its own, for which
	// ReviewURL, where it is known, is the pull request's page.
	AwaitingReview bool
	ReviewURL      string
	// Declined says that it was on one, which is gone or closed without a merge.
	Declined bool
	// Trailers are those of the commit, by which a caller can tell whether the
	// earlier call asked for the same.
	Trailers map[string][]string
}

const (
	maxKeyLength     = 255
	maxTrailerLength = 1000
	maxSubjectLength = 200
)

var trailerKeyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// check refuses what can't be written down without becoming something else:
// two keys must never become one.
func (c *Change) check() error {
	for name, value := range map[string]string{IdempotencyKeyTrailer: c.IdempotencyKey, OperationTrailer: c.Operation} {
		if len(value) > maxKeyLength || value != plain(value, maxKeyLength) {
			return schema.Errorf(schema.Invalid, "%s %.50q must be at most %d printable characters without blanks at its ends", name, value, maxKeyLength)
		}
	}
	for _, t := range c.Trailers {
		reserved := strings.EqualFold(t.Key, OperationTrailer) || strings.EqualFold(t.Key, IdempotencyKeyTrailer)
		if reserved || !trailerKeyPattern.MatchString(t.Key) {
			return schema.Errorf(schema.Invalid, "trailer %.50q can't be set", t.Key)
		}
	}
	if c.Mutate == nil {
		return schema.Errorf(schema.Internal, "change has no mutation")
	}
	if c.Operation == "" {
		c.Operation = rand.Text()
	}
	return nil
}

// plain makes one printable line of the text, of at most limit bytes.
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if len(text) > limit {
		text = strings.TrimSpace(strings.ToValidUTF8(text[:limit], ""))
	}
	return text
}

func (c *Change) message() string {
	subject := plain(c.Subject, maxSubjectLength)
	if subject == "" {
		subject = "Change"
	}
	trailers := []Trailer{{OperationTrailer, c.Operation}}
	if c.IdempotencyKey != "" {
		trailers = append(trailers, Trailer{IdempotencyKeyTrailer, c.IdempotencyKey})
	}
	var b strings.Builder
	b.WriteString(subject + "\n\n")
	for _, t := range slices.Concat(trailers, c.Trailers) {
		fmt.Fprintf(&b, "%s: %s\n", t.Key, plain(t.Value, maxTrailerLength))
	}
	return b.String()
}

// signature is the caller's as git takes it: angle brackets would end a name.
func (c *Change) signature() string {
	clean := strings.NewReplacer("<", "", ">", "")
	name := plain(clean.Replace(c.Author), maxKeyLength)
	if name == "" {
		name = "unknown"
	}
	return fmt.Sprintf("%s <%s>", name, plain(clean.Replace(c.AuthorEmail), maxKeyLength))
}

// commit is the commit object of the change.
func (c *Change) commit(tree string, parent schema.Revision, at time.Time) object {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", tree)
	if parent != "" {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	fmt.Fprintf(&b, "author %s %d +0000\n", c.signature(), at.Unix())
	fmt.Fprintf(&b, "committer %s %d +0000\n\n%s", botSignature, at.Unix(), c.message())
	return newObject(plumbing.CommitObject, b.Bytes())
}
