package gitsync

import (
	"fmt"
	"testing"

	"bayplan.dev/schema"
)

// BenchmarkColdRead reads every file of a repository of 10,000 files once.
func BenchmarkColdRead(b *testing.B) {
	path := packed(b, 10_000)
	for b.Loop() {
		r, err := New(Options{Remote: Remote{URL: path}})
		if err != nil {
			b.Fatal(err)
		}
		s, err := r.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if n := readAll(b, s.Tree.Entries, s.Tree.Blob, s.Root); n != 10_000 {
			b.Fatalf("read %d files", n)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHead asks a local repository of 10,000 files for its head when
// nothing is new.
func BenchmarkHead(b *testing.B) {
	r, err := New(Options{Remote: Remote{URL: packed(b, 10_000)}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Head(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPush is one commit of one file, from the start of the git client to
// its end, beside 10,000 files.
func BenchmarkPush(b *testing.B) {
	h := host(b, HostOptions{Check: checker(b)})
	seeded(b, h, numbered(10_000))
	c := newClient(b)
	c.clone(b, h.url)
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		c.commit(b, "next", map[string]string{"users/u000/s00/c0.yaml": fmt.Sprint(n)})
		b.StartTimer()
		c.git(b, "push", "-q", "origin", "main")
	}
}

// packed makes a local repository of n files in one pack.
func packed(b *testing.B, n int) string {
	b.Helper()
	path, c := bare(b)
	c.commit(b, "all", numbered(n))
	c.git(b, "push", "-q", "origin", "main")
	c.git(b, "-C", path, "gc", "-q")
	return path
}

func readAll(b *testing.B, entries func(string) ([]schema.Entry, error), blob func(string, int64) ([]byte, error), hash string) int {
	b.Helper()
	list, err := entries(hash)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, e := range list {
		if e.Mode == schema.ModeFolder {
			n += readAll(b, entries, blob, e.Hash)
			continue
		}
		if _, err := blob(e.Hash, 64<<10); err != nil {
			b.Fatal(err)
		}
		n++
	}
	return n
}
