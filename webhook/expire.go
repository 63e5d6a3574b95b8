package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

const (
	actionExpire = "expire"
	// platformActor is the author of what nobody asked for just now.
	platformActor = "bayplan"
)

// Expire commits that a container has come to its end at the given time: it is
// stopped, or its document removed. Nothing is committed where the file is gone
// or says another time by now.
func Expire(ctx context.Context, to Committer, id schema.ContainerID, at time.Time, policy schema.ExpirePolicy) error {
	i := &intent{target: mutation.Container(id), action: actionExpire, edit: mutation.Expire(id, at, policy)}
	var tried attempt
	change := Change{
		Author: platformActor, AuthorEmail: platformActor + "@" + unknownDomain, Subject: i.subject(),
		Trailers: []Trailer{
			{trailerAction, i.action}, {trailerTarget, string(i.target.Kind) + " " + i.target.String()}, {trailerUser, string(i.target.User)},
		},
		Operation: strings.ToLower(rand.Text()),
		Mutate:    func(t Tree) error { return tried.run(i.edit, t) },
	}
	_, err := to.Do(ctx, change)
	if _, refused := tried.result(); schema.CodeOf(refused) == schema.NotFound && errors.Is(err, refused) {
		return nil
	}
	return err
}
