package auth

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"bayplan.dev/schema"
)

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
type Tickets struct {
	mu     sync.Mutex
	known  map[[sha256.Size]byte]*list.Element
	oldest *list.List
	actors map[string]int
}

type ticket struct {
	hash   [sha256.Size]byte
	caller Caller
	ends   time.Time
}

// NewTickets returns a box without tickets.
func NewTickets() *Tickets {
	return &Tickets{known: map[[sha256.Size]byte]*list.Element{}, oldest: list.New(), actors: map[string]int{}}
}

// Issue makes a ticket for the caller; Unavailable when too many are waiting.
func (t *Tickets) Issue(c Caller) (string, time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for e := t.oldest.Front(); e != nil && !now.Before(e.Value.(*ticket).ends); e = t.oldest.Front() {
		t.drop(e)
	}
	if len(t.known) >= maxTickets || t.actors[c.Actor] >= maxActorTickets {
		return "", time.Time{}, schema.Errorf(schema.Unavailable, "too many tickets wait to be used")
	}
	text := rand.Text()
	v := &ticket{hash: sha256.Sum256([]byte(text)), caller: c, ends: now.Add(ticketLife)}
	t.known[v.hash] = t.oldest.PushBack(v)
	t.actors[c.Actor]++
	return text, v.ends, nil
}

// Redeem returns the caller that a ticket was made for, once.
func (t *Tickets) Redeem(text string) (Caller, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.known[sha256.Sum256([]byte(text))]
	if !ok {
		return Caller{}, denied("the ticket was used before, has expired or never was one")
	}
	v := e.Value.(*ticket)
	t.drop(e)
	if !time.Now().Before(v.ends) {
		return Caller{}, denied("the ticket was used before, has expired or never was one")
	}
	return v.caller, nil
}

func (t *Tickets) drop(e *list.Element) {
	v := e.Value.(*ticket)
	t.oldest.Remove(e)
	delete(t.known, v.hash)
	if t.actors[v.caller.Actor]--; t.actors[v.caller.Actor] == 0 {
		delete(t.actors, v.caller.Actor)
	}
}
