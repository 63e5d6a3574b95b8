package auth

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"bayplan.dev/schema"
)

// once holds values that may be had once, each by a text of 130 random bits of
// which only the hash is kept, and only for a while. It lives in this process
// and is safe for concurrent use.
type once[T any] struct {
	// noun is what the texts are called.
	noun string
	life time.Duration
	// most and each bound what waits, in all and of one actor.
	most, each int

	mu     sync.Mutex
	known  map[[sha256.Size]byte]*list.Element
	oldest *list.List
	actors map[string]int
}

type kept[T any] struct {
	hash  [sha256.Size]byte
	actor string
	value T
	ends  time.Time
}

func newOnce[T any](noun string, life time.Duration, most, each int) *once[T] {
	return &once[T]{
		noun: noun, life: life, most: most, each: each,
		known: map[[sha256.Size]byte]*list.Element{}, oldest: list.New(), actors: map[string]int{},
	}
}

// issue keeps a value for an actor; Unavailable when too many wait.
func (o *once[T]) issue(actor string, value T) (string, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for e := o.oldest.Front(); e != nil && !now.Before(e.Value.(*kept[T]).ends); e = o.oldest.Front() {
		o.drop(e)
	}
	if len(o.known) >= o.most || o.actors[actor] >= o.each {
		return "", time.Time{}, schema.Errorf(schema.Unavailable, "too many %ss wait to be used", o.noun)
	}
	text := rand.Text()
	v := &kept[T]{hash: sha256.Sum256([]byte(text)), actor: actor, value: value, ends: now.Add(o.life)}
	o.known[v.hash] = o.oldest.PushBack(v)
	o.actors[actor]++
	return text, v.ends, nil
}

// redeem returns the value of a text and forgets it.
func (o *once[T]) redeem(text string) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var none T
	e, ok := o.known[sha256.Sum256([]byte(text))]
	if !ok {
		return none, denied("the %s was used before, has expired or never was one", o.noun)
	}
	v := e.Value.(*kept[T])
	o.drop(e)
	if !time.Now().Before(v.ends) {
		return none, denied("the %s was used before, has expired or never was one", o.noun)
	}
	return v.value, nil
}

func (o *once[T]) drop(e *list.Element) {
	v := e.Value.(*kept[T])
	o.oldest.Remove(e)
	delete(o.known, v.hash)
	if o.actors[v.actor]--; o.actors[v.actor] == 0 {
		delete(o.actors, v.actor)
	}
}
