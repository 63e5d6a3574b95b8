package forge

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"bayplan.dev/schema"
)

const (
	// MaxComment is how many characters a comment may have. GitHub takes 65,536.
	MaxComment = 60_000
	// maxComments bounds how many comments of a pull request are looked through.
	maxComments = 2000
)

// comment is one that the forge lists.
type comment struct {
	id     int64
	author int64
	body   string
}

// begins says whether the marker is how the text begins, and not a part of a
// longer one.
func begins(body, marker string) bool {
	rest, ok := strings.CutPrefix(body, marker)
	return ok && (rest == "" || strings.ContainsAny(rest[:1], " \n") || strings.HasSuffix(marker, "-->"))
}

// lineEnds are Git's own: a forge may keep those of browsers, and drop what ends the text.
func lineEnds(body string) string {
	return strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), " \n")
}

// Comment writes the one comment of a pull request whose body begins with the
// marker, such as <!-- bayplan -->; the marker is put there if it isn't. The
// comment that this account wrote is edited, where it says something else, and
// further ones of the same marker are removed. Comments of others are never
// touched, whatever they say. Errors: Exceeded for more than MaxComment
// characters and for a pull request with too many comments; Invalid for a marker
// that can't be one; Forbidden where the token doesn't say whose it is; else
// those of Open.
func (f *Forge) Comment(ctx context.Context, number int64, marker, body string) error {
	if !begins(body, marker) {
		body = marker + "\n" + body
	}
	if n := utf8.RuneCountInString(body); n > MaxComment {
		return schema.Errorf(schema.Exceeded, "forge: a comment of %d characters is too long, %d are the most", n, MaxComment)
	}
	// Two at a time would both find none.
	turn := &f.turns[uint64(number)%uint64(len(f.turns))]
	turn.Lock()
	defer turn.Unlock()
	ours, err := f.comments(ctx, number, marker)
	if err != nil {
		return err
	}
	if err := f.write(ctx, number, body, ours); err != nil {
		return err
	}
	for _, double := range ours[min(1, len(ours)):] {
		if err := f.pulls.removeComment(ctx, number, double.id); err != nil && schema.CodeOf(err) != schema.NotFound {
			return err
		}
	}
	return nil
}

// write edits the first of our comments or makes one.
func (f *Forge) write(ctx context.Context, number int64, body string, ours []comment) error {
	if len(ours) > 0 {
		if lineEnds(ours[0].body) == lineEnds(body) {
			return nil
		}
		err := f.pulls.editComment(ctx, number, ours[0].id, body)
		if schema.CodeOf(err) != schema.NotFound {
			return err
		}
		// Somebody has removed it meanwhile.
	}
	return f.pulls.addComment(ctx, number, body)
}

// Commented returns what Comment wrote last; false when there is nothing.
// Errors are those of Comment.
func (f *Forge) Commented(ctx context.Context, number int64, marker string) (string, bool, error) {
	ours, err := f.comments(ctx, number, marker)
	if err != nil || len(ours) == 0 {
		return "", false, err
	}
	return lineEnds(ours[0].body), true, nil
}

// comments are those of this account with the marker, the oldest first.
func (f *Forge) comments(ctx context.Context, number int64, marker string) ([]comment, error) {
	if !strings.HasPrefix(marker, "<!--") || strings.ContainsAny(marker, "\r\n") || number <= 0 {
		return nil, schema.Errorf(schema.Invalid, "forge: a comment needs a pull request and a marker that begins with <!--, got %d and %q", number, marker)
	}
	me, err := f.whoami(ctx)
	if err != nil {
		return nil, err
	}
	var ours []comment
	known := map[int64]bool{}
	for page := 1; ; page++ {
		list, err := f.pulls.comments(ctx, number, paging{page, pageSize})
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, c := range list {
			// Gitea gives all of them, whichever page is asked for.
			if known[c.id] {
				continue
			}
			known[c.id], fresh = true, true
			if c.author == me.ID && begins(lineEnds(c.body), marker) {
				ours = append(ours, c)
			}
		}
		if len(list) < pageSize || !fresh {
			break
		}
		if len(known) >= maxComments {
			return nil, schema.Errorf(schema.Exceeded, "forge: pull request %d has more than %d comments", number, maxComments)
		}
	}
	slices.SortFunc(ours, func(a, b comment) int { return int(a.id - b.id) })
	return ours, nil
}

// commentText is the body of requests that write a comment.
type commentText struct {
	Body string `json:"body"`
}
