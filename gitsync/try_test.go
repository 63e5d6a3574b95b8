package gitsync

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// A try sees the newest tree and the check's word, and leaves nothing behind:
// no commit and no object.
func TestTry(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"users/ann/web/web.yaml": "1", "other": "2"})
	refused := errors.New("refused")
	w := h.NewWriter(func(_ context.Context, _, now schema.Snapshot) error {
		if files(t, now)["bad"] != "" {
			return refused
		}
		return nil
	})
	first := head(t, h.Repo())
	before, after, err := w.Try(t.Context(), func(v *View) error {
		if _, err := v.Read("users/ann/web/web.yaml"); err != nil {
			return err
		}
		return errors.Join(v.Write("users/ann/web/web.yaml", []byte("3")), v.Remove("other"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if before.Revision != first.Revision || after.Revision != "" {
		t.Errorf("got revisions %q and %q, want %q and none", before.Revision, after.Revision, first.Revision)
	}
	if diff := cmp.Diff(map[string]string{"users/ann/web/web.yaml": "3"}, files(t, after)); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"users/ann/web/web.yaml": "1", "other": "2"}, files(t, before)); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if now := head(t, h.Repo()); now.Revision != first.Revision {
		t.Errorf("head moved to %s", now.Revision)
	}
	if _, err := h.Repo().store.snapshot(after.Root); err == nil {
		t.Error("the tree was written into the repository")
	}

	before, after, err = w.Try(t.Context(), func(v *View) error { return v.Write("other", []byte("2")) })
	if err != nil || before.Root != after.Root {
		t.Errorf("nothing changes: got roots %s and %s, %v", before.Root, after.Root, err)
	}
	for name, tt := range map[string]struct {
		mutate func(*View) error
		want   error
		code   schema.Code
	}{
		"mutation": {func(v *View) error { return errors.Join(v.Write("x", nil), refused) }, refused, schema.Internal},
		"check":    {func(v *View) error { return v.Write("bad", []byte("x")) }, refused, schema.Internal},
		"panic":    {func(*View) error { panic("oops") }, nil, schema.Internal},
		"dots":     {func(v *View) error { return v.Write("a/../x", nil) }, nil, schema.Invalid},
	} {
		_, _, err := w.Try(t.Context(), tt.mutate)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
		wantCode(t, err, tt.code)
	}
}

// The last file may go, and the first may come.
func TestTryWithAnEmptyTree(t *testing.T) {
	h := host(t, HostOptions{})
	w := h.NewWriter(nil)
	before, after, err := w.Try(t.Context(), func(v *View) error { return v.Write("a", []byte("1")) })
	if err != nil || before.Root != "" || files(t, after)["a"] != "1" {
		t.Errorf("first file: got %q, %q, %v", before.Root, after.Root, err)
	}
	seeded(t, h, map[string]string{"a": "1"})
	before, after, err = w.Try(t.Context(), func(v *View) error { return v.Remove("a") })
	if err != nil || before.Root == "" || after.Root != "" {
		t.Errorf("last file: got %q, %q, %v", before.Root, after.Root, err)
	}
}
