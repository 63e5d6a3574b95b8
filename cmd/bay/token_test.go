package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// keyPeer exchanges the key of the app shop for tokens that live that long.
func keyPeer(t *testing.T, life time.Duration) (p *peer, given *atomic.Int64) {
	t.Helper()
	p, given = newPeer(t), &atomic.Int64{}
	p.mux.HandleFunc("POST /auth", func(w http.ResponseWriter, _ *http.Request) {
		calls := p.seen()
		body := calls[len(calls)-1].body
		if body["app"] != "shop" || body["key"] != "the-key" || body["uid"] != "bob" {
			answerProblem(w, http.StatusUnauthorized, "unauthenticated", "unknown app or wrong key")
			return
		}
		answerJSON(w, http.StatusOK, webhook.Token{Token: fmt.Sprintf("token-%d", given.Add(1)), Expires: time.Now().Add(life)})
	})
	return p, given
}

var keyEnv = []string{"BAYPLAN_SECRET_KEY=the-key", "BAYPLAN_APP=shop", "BAYPLAN_USER=bob"}

func TestKeyIsExchangedOnceForManyCalls(t *testing.T) {
	p, given := keyPeer(t, time.Hour)
	p.mux.HandleFunc("/compute/", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer token-1" {
			t.Errorf("Authorization: got %q", got)
		}
		answerJSON(w, http.StatusAccepted, committed("stop", schema.KindContainer, "shop-bob--web"))
	})
	callBay(t, p.env(keyEnv...), "", "stop", "shop-bob--web", "shop-bob--api").ok(t)
	if given.Load() != 1 {
		t.Errorf("%d tokens were asked for, want 1", given.Load())
	}
	for _, c := range p.seen() {
		if strings.Contains(c.request.URL.String(), "key") || c.request.Header.Get(actForHeader) != "" {
			t.Errorf("%s %s says more than it needs to: %v", c.request.Method, c.request.URL, c.request.Header)
		}
	}
}

func TestTokenIsRenewed(t *testing.T) {
	t.Run("when it has become old", func(t *testing.T) {
		p, given := keyPeer(t, -time.Second)
		p.mux.HandleFunc("/compute/", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, http.StatusAccepted, committed("stop", schema.KindContainer, "shop-bob--web"))
		})
		callBay(t, p.env(keyEnv...), "", "stop", "shop-bob--web", "shop-bob--api").ok(t)
		if given.Load() != 2 {
			t.Errorf("%d tokens were asked for, want 2", given.Load())
		}
	})
	t.Run("when the server refuses it", func(t *testing.T) {
		p, given := keyPeer(t, time.Hour)
		p.mux.HandleFunc("/compute/", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				answerProblem(w, http.StatusUnauthorized, "unauthenticated", "revoked")
				return
			}
			answerJSON(w, http.StatusOK, map[string]any{"items": []any{}, "metadata": map[string]any{"revision": ""}})
		})
		callBay(t, p.env(keyEnv...), "", "list").ok(t)
		if given.Load() != 2 {
			t.Errorf("%d tokens were asked for, want 2", given.Load())
		}
	})
	t.Run("not without end", func(t *testing.T) {
		p, given := keyPeer(t, time.Hour)
		p.mux.HandleFunc("/compute/", func(w http.ResponseWriter, _ *http.Request) {
			answerProblem(w, http.StatusUnauthorized, "unauthenticated", "no")
		})
		if got := callBay(t, p.env(keyEnv...), "", "list"); got.code != exitAuth || given.Load() != 2 {
			t.Errorf("exit code %d after %d tokens, want %d after 2", got.code, given.Load(), exitAuth)
		}
	})
}

// TestStreamIsRenewed watches longer than a token lives.
func TestStreamIsRenewed(t *testing.T) {
	p, _ := keyPeer(t, 1200*time.Millisecond)
	p.mux.HandleFunc("GET /compute/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		if got := r.Header.Get("Authorization"); got != "Bearer token-1" {
			t.Errorf("Authorization: got %q", got)
		}
		var message struct {
			Type string
			Data struct{ Token string }
		}
		if err := wsjson.Read(r.Context(), conn, &message); err != nil || message.Type != "authorize" || message.Data.Token != "token-2" {
			t.Errorf("got %+v, %v; want authorize with token-2", message, err)
		}
		_ = wsjson.Write(r.Context(), conn, schema.Frame{Type: schema.FrameSync, Seq: 1, Data: schema.SyncStatus{State: schema.SyncSynced}})
		_, _, _ = conn.Read(r.Context())
	})
	callBay(t, p.env(keyEnv...), "", "wait", "--for=synced", "--timeout", patience.String()).ok(t)
}

// TestStreamOfARevokedTokenEnds says so instead of trying for ever.
func TestStreamOfARevokedTokenEnds(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("GET /compute/ws", func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_ = wsjson.Write(r.Context(), conn, schema.Frame{Type: schema.FrameContainers, Seq: 1, Data: []schema.ContainerStatus{}})
			_ = conn.Close(statusUnauthorized, "revoked")
		}
	})
	got := callBay(t, p.env("BAYPLAN_ACCESS_TOKEN=old"), "", "status", "--watch")
	if got.code != exitAuth || !strings.Contains(got.stderr, "revoked") {
		t.Errorf("exit code %d, want %d\n%s", got.code, exitAuth, got.stderr)
	}
}

// TestSecretsStayWithTheirServer: neither another endpoint nor a redirect gets
// what is meant for the first.
func TestSecretsStayWithTheirServer(t *testing.T) {
	stranger := newPeer(t)
	stranger.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{"items": []any{}})
	})
	own := newPeer(t)
	own.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, stranger.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	home := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + home}
	callBay(t, env, "the-token", "config", "set-context", "own", "--endpoint-url", own.URL, "--access-token-file", "-").ok(t)

	callBay(t, env, "", "list", "--endpoint-url", stranger.URL).ok(t)
	callBay(t, append(env, "BAYPLAN_ENDPOINT_URL="+stranger.URL), "", "list").ok(t)
	callBay(t, append(env, "BAYPLAN_ENDPOINT_URL="+own.URL, "BAYPLAN_ACCESS_TOKEN=other"), "", "list", "--endpoint-url", stranger.URL).ok(t)
	if got := callBay(t, env, "", "list"); got.code == exitOK {
		t.Error("a redirect was followed")
	}
	for _, c := range stranger.seen() {
		if got := c.request.Header.Get("Authorization"); got != "" {
			t.Errorf("the stranger was told %q", got)
		}
	}
	if len(stranger.seen()) != 3 || len(own.seen()) != 1 || own.seen()[0].request.Header.Get("Authorization") != "Bearer the-token" {
		t.Errorf("%d calls of the stranger, %d of the own server", len(stranger.seen()), len(own.seen()))
	}
}

// TestSecretsAreNotShown greps everything that commands say of a context.
func TestSecretsAreNotShown(t *testing.T) {
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir()}
	callBay(t, env, "", "config", "set-context", "one", "--access-token", "hunter2").ok(t)
	callBay(t, env, "", "config", "set-context", "two", "--secret-key", "hunter2", "--app", "shop", "--user", "bob").ok(t)
	for _, args := range [][]string{
		{"config", "view"},
		{"config", "view", "-o", "json"},
		{"config", "get-contexts"},
		{"config", "get-contexts", "-o", "yaml"},
		{"list", "--endpoint-url", "http://user:hunter2@127.0.0.1:1"},
		{"list", "--context", "one", "--endpoint-url", "http://127.0.0.1:1"},
		{"list", "--context", "two", "--endpoint-url", "http://127.0.0.1:1"},
	} {
		if got := callBay(t, env, "", args...); strings.Contains(got.stdout+got.stderr, "hunter2") {
			t.Errorf("bay %v tells the secret:\n%s%s", args, got.stdout, got.stderr)
		}
	}
}
