package auth

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestCodeOnce(t *testing.T) {
	box, want := NewCodes(), Token{Token: "raw", Expires: time.Unix(1e9, 0), User: "alice", Renewable: true}
	code, ends, err := box.Issue(Caller{Actor: "alice.console", User: "bob", OnBehalf: true, Own: "alice", Expires: want.Expires, Renewable: true}, "raw")
	if err != nil || time.Until(ends) > codeLife || strings.Contains(code, "raw") {
		t.Fatal(code, ends, err)
	}
	var let atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			got, err := box.Redeem(code)
			switch {
			case err == nil && cmp.Equal(got, want):
				let.Add(1)
			case !errors.Is(err, ErrDenied):
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	all.Wait()
	if got := let.Load(); got != 1 {
		t.Errorf("used %d times", got)
	}
}

func TestCodesEndAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := NewCodes()
		issue := func(actor string) (string, error) {
			code, _, err := box.Issue(Caller{Actor: actor}, "raw")
			return code, err
		}
		late, err := issue("bob.console")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(codeLife)
		if _, err := box.Redeem(late); !errors.Is(err, ErrDenied) {
			t.Errorf("after a minute: %v", err)
		}
		for range maxActorCodes {
			if _, err := issue("alice.console"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := issue("alice.console"); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("one actor: got %v", err)
		}
		for i := range maxCodes - maxActorCodes {
			if _, err := issue(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := issue("carol.console"); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("all: got %v", err)
		}
		time.Sleep(codeLife)
		if _, err := issue("alice.console"); err != nil || len(box.known) != 1 {
			t.Errorf("later: got %v, remembers %d", err, len(box.known))
		}
	})
}

// A renewed token ends later and is otherwise the one from before: what takes
// that back takes this back, and a day after the login both are over.
func TestRenew(t *testing.T) {
	g := newGuard(t, testApps(), func(o *Options) { o.Lifetime = time.Hour })
	asked := Login{App: "console", Key: consoleKey, UID: "alice", GID: "g1", Renewable: true}
	synctest.Test(t, func(t *testing.T) {
		first, err := g.Login(asked)
		if err != nil || !first.Renewable {
			t.Fatalf("got %+v, %v", first, err)
		}
		born, err := g.Caller(t.Context(), first.Token)
		if err != nil || !born.Renewable {
			t.Fatalf("got %+v, %v", born, err)
		}
		token, login := first, time.Now()
		for range 30 {
			time.Sleep(50 * time.Minute)
			next, err := g.Renew(token.Token)
			if time.Since(login) > maxLifetime {
				if !errors.Is(err, ErrDenied) {
					t.Fatalf("after %s: got %v", time.Since(login), err)
				}
				break
			}
			if err != nil {
				t.Fatalf("after %s: %v", time.Since(login), err)
			}
			now, err := g.Caller(t.Context(), next.Token)
			if err != nil {
				t.Fatal(err)
			}
			if next.Expires.Before(token.Expires) || next.Expires.Sub(login) > maxLifetime {
				t.Errorf("after %s: got the end %s, before that %s", time.Since(login), next.Expires, token.Expires)
			}
			now.Expires = born.Expires
			if diff := cmp.Diff(born, now); diff != "" {
				t.Errorf("a renewed token says otherwise (-first +now):\n%s", diff)
			}
			token = next
		}
		if time.Since(login) < 23*time.Hour {
			t.Errorf("ended %s after the login", time.Since(login))
		}
	})
}

func TestWhatIsNotRenewed(t *testing.T) {
	g := newGuard(t, testApps())
	if _, err := g.Renew(login(t, g, "console", consoleKey, "alice")); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("a token that isn't renewable: got %v", err)
	}
	for _, raw := range []string{"", "x", "a.b.c", strings.Repeat("x", MaxToken+1)} {
		if _, err := g.Renew(raw); !errors.Is(err, ErrDenied) {
			t.Errorf("%.10q: got %v", raw, err)
		}
	}
	renewable, err := g.Login(Login{App: "console", Key: consoleKey, UID: "alice", Renewable: true})
	if err != nil {
		t.Fatal(err)
	}
	next, err := g.Renew(renewable.Token)
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Caller(t.Context(), renewable.Token)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(g.options.File)
	if err != nil {
		t.Fatal(err)
	}
	write(t, g.options.File, string(text)+"revoked: [{token: "+c.Token+"}]\n")
	g.reload(t.Context())
	for _, raw := range []string{renewable.Token, next.Token} {
		if _, err := g.Renew(raw); !errors.Is(err, ErrDenied) {
			t.Errorf("a revoked token: got %v", err)
		}
		if _, err := g.Caller(t.Context(), raw); !errors.Is(err, ErrDenied) {
			t.Errorf("a revoked token gets in: %v", err)
		}
	}
}
