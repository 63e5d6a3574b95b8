package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestImagesSaysWhichRegistriesAreMissing(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("GET /compute/images", func(w http.ResponseWriter, r *http.Request) {
		page := map[string]any{
			"items":    []any{map[string]any{"name": "one", "image": "registry.example.com/one:1"}},
			"metadata": map[string]any{"continue": "more"},
			"failures": []any{map[string]any{"registry": "down.example.com", "code": "unavailable", "message": "no answer"}},
		}
		if r.URL.Query().Get("continue") == "more" {
			page["items"] = []any{map[string]any{"name": "two", "image": "registry.example.com/two:1"}}
			page["metadata"] = map[string]any{}
		}
		answerJSON(w, http.StatusOK, page)
	})
	got := callBay(t, p.env(), "", "images", "-o", "name").ok(t)
	if want := "registry.example.com/one:1\nregistry.example.com/two:1\n"; got.stdout != want {
		t.Errorf("got %q, want %q", got.stdout, want)
	}
	if want := "warning: registry down.example.com isn't listed: no answer\n"; strings.Count(got.stderr, want) != 1 {
		t.Errorf("got %q, want %q once", got.stderr, want)
	}
}
