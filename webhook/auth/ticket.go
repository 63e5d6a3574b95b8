package auth

import "time"

const (
	ticketLife = 30 * time.Second
	// Bounds of what is remembered.
	maxTickets      = 1 << 14
	maxActorTickets = 256
)

// Tickets let browsers open streams, which can't send a header: a ticket goes
// into the URL instead of a token, and is worth nothing once it has been used
// or 30 seconds have passed. They live in this process only. The zero value
// isn't ready; NewTickets is. It is safe for concurrent use.
type Tickets struct{ *once[Caller] }

// NewTickets returns a box without tickets.
func NewTickets() *Tickets {
	return &Tickets{newOnce[Caller]("ticket", ticketLife, maxTickets, maxActorTickets)}
}

// Issue makes a ticket for the caller; Unavailable when too many are waiting.
func (t *Tickets) Issue(c Caller) (string, time.Time, error) { return t.issue(c.Actor, c) }

// Redeem returns the caller that a ticket was made for, once.
func (t *Tickets) Redeem(text string) (Caller, error) { return t.redeem(text) }
