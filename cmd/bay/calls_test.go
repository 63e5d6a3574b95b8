package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// callsFor is how long callers and people write side by side; make e2e takes longer.
var callsFor = flag.Duration("calls.for", 5*time.Second, "how long callers and people write side by side")

const (
	raceCallers = 50
	racePeople  = 5
	// raceSpaces are shared by the callers, and hold a container that stays.
	raceSpaces = 10
)

// Promise 1: each call that was answered is one commit, whoever else writes,
// and the cluster comes to hold what the branch says.
func TestCallsHosted(t *testing.T) { raceHosted(t, *callsFor) }

func TestCallsServerKilled(t *testing.T) { raceKilled(t, *callsFor) }

func TestCallsHTTP(t *testing.T) { raceHTTP(t, *callsFor) }

func TestCallsSSH(t *testing.T) { raceSSH(t, *callsFor) }

func raceHosted(t *testing.T, how time.Duration) {
	t.Helper()
	a := newHostedArena(t)
	a.race(how, nil)
	a.check()
}

// raceKilled kills the server at moments that nobody chooses. The callers and
// people have no connection then, and often no answer.
func raceKilled(t *testing.T, how time.Duration) {
	t.Helper()
	a := newHostedArena(t)
	kills := 0
	a.race(how, func(end time.Time) {
		for kills < 2 || time.Now().Before(end) {
			time.Sleep(time.Duration(300+rand.IntN(1200)) * time.Millisecond)
			a.restart(syscall.SIGKILL)
			kills++
		}
	})
	a.check()
	t.Logf("%d kills", kills)
	if a.lost.Load() == 0 {
		t.Error("no call has lost its connection: the server was never killed in the middle")
	}
}

// raceHTTP writes to a repository somewhere else, whose server hangs up now and
// then when a push has arrived and before it is answered.
func raceHTTP(t *testing.T, how time.Duration) {
	t.Helper()
	g := newGitServer(t)
	a := newRemoteArena(t, g.path, g.cloneURL(), g.args()...)
	g.cutting.Store(true)
	a.race(how, nil)
	g.cutting.Store(false)
	a.check()
	t.Logf("%d pushes cut", g.cuts.Load())
	if g.cuts.Load() == 0 {
		t.Error("no push was cut")
	}
}

func raceSSH(t *testing.T, how time.Duration) {
	t.Helper()
	s := newSSHServer(t)
	path := newBareRepository(t)
	a := newRemoteArena(t, path, path, s.args(path)...)
	a.race(how, nil)
	a.check()
	if s.pushes.Load() == 0 {
		t.Error("nothing was pushed over ssh")
	}
}

// newHostedArena is a server that hosts its repository, at a port that nobody
// else is given by chance while the server is down.
func newHostedArena(t *testing.T) *arena {
	t.Helper()
	user := kubetest.Space(t).User
	s := startBay(t, kubetest.Kubeconfig(t), string(user), "--listen", freeAddress(t))
	a := newArena(t, user, s.url+"/git/fleet.git")
	a.serve(s, s.bare())
	return a
}

// newRemoteArena is a server of a repository somewhere else; url is how people
// reach it, path where it is.
func newRemoteArena(t *testing.T, path, url string, args ...string) *arena {
	t.Helper()
	user := kubetest.Space(t).User
	a := newArena(t, user, url)
	a.begin()
	args = append(args, "--cache", filepath.Join(t.TempDir(), "cache"))
	a.serve(newBay(t, kubetest.Kubeconfig(t), string(user), args...), path)
	return a
}

// race lets everybody loose. meanwhile runs beside them, in the test's own goroutine.
func (a *arena) race(how time.Duration, meanwhile func(end time.Time)) {
	a.t.Helper()
	end := time.Now().Add(how)
	group, ctx := errgroup.WithContext(a.t.Context())
	for n := range raceCallers {
		c := &caller{arena: a, n: n, id: a.id(raceSpace(n), fmt.Sprintf("c%d", n))}
		a.callers = append(a.callers, c)
		group.Go(func() error { return c.work(ctx, end) })
	}
	for n, p := range a.people {
		group.Go(func() error { return p.work(ctx, n, end) })
	}
	if meanwhile != nil {
		meanwhile(end)
	}
	if err := group.Wait(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Logf("%d calls and %d pushes kept; %d answers lost, %d calls told to come back", len(a.calls), len(a.pushes), a.lost.Load(), a.refused.Load())
}

func raceSpace(n int) string { return fmt.Sprintf("s%d", n%raceSpaces) }

// freeAddress is one outside of what the system gives to clients: one of many
// that connect in vain to a port of theirs would otherwise meet itself there.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no free port from 20000 to 31999")
	return ""
}

// base is the container that stays in a space, so that its namespace does.
func (a *arena) base(space int) schema.ContainerID {
	return a.id(raceSpace(space), "base")
}
