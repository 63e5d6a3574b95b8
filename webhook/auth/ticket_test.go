package auth

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

func TestTicketOnce(t *testing.T) {
	box := NewTickets()
	text, ends, err := box.Issue(Caller{Actor: "alice.console"})
	if err != nil || time.Until(ends) > ticketLife {
		t.Fatal(ends, err)
	}
	var let atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			c, err := box.Redeem(text)
			switch {
			case err == nil && c.Actor == "alice.console":
				let.Add(1)
			case !errors.Is(err, ErrDenied):
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	all.Wait()
	if got := let.Load(); got != 1 {
		t.Errorf("used %d times", got)
	}
	if _, err := box.Redeem(""); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestTicketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := NewTickets()
		late, _, err := box.Issue(Caller{Actor: "alice.console"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(ticketLife - time.Second)
		early, _, err := box.Issue(Caller{Actor: "alice.console"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := box.Redeem(late); !errors.Is(err, ErrDenied) {
			t.Errorf("after 30 s: %v", err)
		}
		if _, err := box.Redeem(early); err != nil {
			t.Errorf("after 1 s: %v", err)
		}
	})
}

func TestTicketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := NewTickets()
		for range maxActorTickets {
			if _, _, err := box.Issue(Caller{Actor: "alice.console"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := box.Issue(Caller{Actor: "alice.console"}); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("one actor: got %v", err)
		}
		for i := range maxTickets - maxActorTickets {
			if _, _, err := box.Issue(Caller{Actor: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := box.Issue(Caller{Actor: "bob.console"}); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("all: got %v", err)
		}
		time.Sleep(ticketLife)
		if _, _, err := box.Issue(Caller{Actor: "alice.console"}); err != nil {
			t.Errorf("later: got %v", err)
		}
		if len(box.known) != 1 || box.oldest.Len() != 1 || len(box.actors) != 1 {
			t.Errorf("remembers %d, %d, %d", len(box.known), box.oldest.Len(), len(box.actors))
		}
	})
}
