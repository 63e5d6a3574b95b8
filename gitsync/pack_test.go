package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

func FuzzTreeDelta(f *testing.F) {
	f.Add([]byte("abcdef"), []byte("abXdef"))
	f.Add(bytes.Repeat([]byte("a"), 70_000), bytes.Repeat([]byte("a"), 200_000))
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, base, content []byte) {
		if len(base) == 0 || len(content) == 0 {
			return // never made: go-git knows no such delta
		}
		got, err := packfile.PatchDelta(base, treeDelta(base, content))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %.50q %v, want %.50q", got, err, content)
		}
	})
}

// git reads what we pack, chains of deltas longer than it would make among it.
func TestPackOfDeltas(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	var entries bytes.Buffer
	blob := newObject(plumbing.BlobObject, []byte("x"))
	id := newCommitID("f" + "00000000000000000000000000000000000000f")
	for n := range 500 {
		fmt.Fprintf(&entries, "100644 %04d\x00", n)
		entries.Write(id[:])
	}
	objects := []object{blob}
	tree := newObject(plumbing.TreeObject, entries.Bytes())
	objects = append(objects, tree)
	for n := range 3 * maxChain {
		next := bytes.Clone(tree.content)
		next[n*32+12] = byte(n + 1)
		o := newObject(plumbing.TreeObject, next)
		o.base = tree.hash
		tree = o
		objects = append(objects, o)
	}
	p, err := newPack(objects)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.content) > 5*16_000 {
		t.Errorf("got a pack of %d bytes", len(p.content))
	}
	if err := p.install(path); err != nil {
		t.Fatal(err)
	}
	c.git(t, "-C", path, "verify-pack", "-v", filepath.Join(path, "objects", "pack", "pack-"+p.sum+".idx"))
	for _, o := range objects {
		content, err := r.store.read(o.kind, o.hash, maxTreeBytes)
		if err != nil || !bytes.Equal(content, o.content) {
			t.Errorf("%s: read %d bytes, %v", o.hash, len(content), err)
		}
	}
}

// Packs are joined while one writes and others read, through handles old and
// new and through git; nobody misses anything and few packs are left.
func TestReadersWhilePacksAreJoined(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, numbered(300))
	c := newClient(t)
	c.git(t, "-C", h.dir(), "config", "gc.autoPackLimit", "4")
	w := running(t, h.NewWriter(nil))
	r := open(t, Options{Remote: Remote{URL: h.dir()}})
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	read := func(reader *Repo) {
		s := head(t, reader)
		reader.store.mu.Lock()
		reader.store.fresh = freshObjects{}
		reader.store.mu.Unlock()
		if got := len(files(t, s)); got != 300 {
			t.Errorf("read %d files", got)
		}
	}
	clone := func() {
		h.sweep.Poke()
		if out, err := newClient(t).try(t.Context(), "clone", "-q", h.url, "work"); err != nil {
			t.Errorf("clone: %v\n%s", err, out)
		}
	}
	for _, work := range []func(){func() { read(h.Repo()) }, func() { read(r) }, clone} {
		readers.Go(func() {
			for ctx.Err() == nil {
				work()
			}
		})
	}
	for n := range 100 {
		do(t, w, writing(fmt.Sprintf("users/u%03d/s%02d/c%d.yaml", n/100, n/10%10, n%10), fmt.Sprint("round ", n)))
	}
	stop()
	readers.Wait()
	if err := h.join(t.Context()); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(h.dir(), "objects", "pack", "*.pack"))
	if err != nil || len(packs) > 16 {
		t.Errorf("got %d packs, %v", len(packs), err)
	}
	if err := h.collectGarbage(t.Context()); err != nil {
		t.Error(err)
	}
	sound(t, h.dir())
	if got := c.git(t, "-C", h.dir(), "rev-list", "--count", "main"); got != "101" {
		t.Errorf("got %s commits, want 101", got)
	}
}
