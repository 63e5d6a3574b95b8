package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// withToken is how a program opens a stream.
func withToken(token string) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}}
}

// follow takes over changes of the apps' file until the test's end.
func (g *guardedHouse) follow(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.guard.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (g *guardedHouse) ticket(t *testing.T, who string) string {
	t.Helper()
	w := g.as(t, who, http.MethodPost, ticketPath, "")
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return decode[Ticket](t, w).Ticket
}

// wantClose reads until the stream ends, and returns how long that took.
func wantClose(t *testing.T, conn *websocket.Conn, code websocket.StatusCode) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		_, _, err := conn.Read(t.Context())
		if err == nil {
			continue
		}
		if got := websocket.CloseStatus(err); got != code {
			t.Errorf("got %v, want %d", err, code)
		}
		return time.Since(start)
	}
}

func TestStreamsAskWhoCalls(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	for _, query := range []string{"", "?ticket=", "?ticket=nonsense", "?token=" + h.token(t, "alice", "console")} {
		_, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath+query, nil)
		if err == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: got %v", query, err)
		}
		wantProblem(t, h.ask(t, http.MethodGet, streamEventsPath+query, ""), http.StatusUnauthorized, "unauthenticated")
	}
	_, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath, withToken(h.token(t, "alice", "cloner")))
	if err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("without the scope: got %v", err)
	}
	if got := h.hub.open(); got != 0 {
		t.Errorf("%d subscriptions", got)
	}
}

func TestTicketOpensOneStream(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	ticket := h.ticket(t, "alice.console")
	// It opens nothing but a stream, and isn't used up by trying.
	wantProblem(t, h.ask(t, http.MethodGet, "/compute/containers?ticket="+ticket, ""), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, h.ask(t, http.MethodPost, ticketPath+"?ticket="+ticket, ""), http.StatusUnauthorized, "unauthenticated")
	readFrame(t, dial(t, srv, "?ticket="+ticket, nil))
	if _, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath+"?ticket="+ticket, nil); err == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a second time: got %v", err)
	}
	e := openEvents(t, srv, "?ticket="+h.ticket(t, "alice.console"))
	if _, f, more := e.next(t); !more || f.Type != schema.FrameContainers {
		t.Errorf("got %+v", f)
	}
}

func TestStreamsShowOnesOwn(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	h.hub.publish(schema.ContainerStatus{ID: containerID(t, "bob--blog"), Phase: schema.PhaseRunning})
	ids := func(f raw) string {
		t.Helper()
		var all []schema.ContainerStatus
		if err := json.Unmarshal(f.Data, &all); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range all {
			got = append(got, s.ID.String())
		}
		return strings.Join(got, " ")
	}
	conns := map[string]*websocket.Conn{}
	for who, want := range map[string]string{
		"alice.console": "alice--old alice--shop--api alice--shop--db alice--web", "bob.console": "bob--blog", "bob.shop": "",
		"root.ops": "alice--old alice--shop--api alice--shop--db alice--web bob--blog",
	} {
		uid, app, _ := strings.Cut(who, ".")
		conns[who] = dial(t, srv, "", withToken(h.token(t, uid, app)))
		if got := ids(readFrame(t, conns[who])); got != want {
			t.Errorf("%s: got %s, want %s", who, got, want)
		}
	}
	h.hub.mu.Lock()
	for _, f := range []schema.Frame{
		{Type: schema.FrameContainerStatus, Data: schema.ContainerStatus{ID: containerID(t, "bob--blog")}},
		{Type: schema.FrameContainerDeleted, Data: schema.ContainerDeleted{ID: containerID(t, "bob--blog")}},
		{Type: schema.FrameOperation, Data: schema.Operation{ID: "1", User: "bob"}},
		{Type: "unheard", Data: map[string]string{"of": "bob"}},
		{Type: schema.FrameSync, Data: schema.SyncStatus{Findings: h.fleet.Findings}},
		{Type: schema.FrameOperation, Data: schema.Operation{ID: "2", User: "alice"}},
	} {
		f.Seq = uint64(len(h.hub.frames) + 1)
		h.hub.frames = append(h.hub.frames, f)
	}
	close(h.hub.changed)
	h.hub.changed = make(chan struct{})
	h.hub.mu.Unlock()
	for who, want := range map[string][]schema.FrameType{
		"alice.console": {schema.FrameSync, schema.FrameOperation},
		"bob.console":   {schema.FrameContainerStatus, schema.FrameContainerDeleted, schema.FrameOperation, schema.FrameSync},
		"bob.shop":      {schema.FrameSync},
		"root.ops": {
			schema.FrameContainerStatus, schema.FrameContainerDeleted, schema.FrameOperation, "unheard", schema.FrameSync, schema.FrameOperation,
		},
	} {
		var got []schema.FrameType
		for range want {
			f := readFrame(t, conns[who])
			got = append(got, f.Type)
			if seen := strings.Contains(string(f.Data), "bob"); seen && !strings.HasPrefix(who, "bob.c") && who != "root.ops" {
				t.Errorf("%s sees %s", who, f.Data)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", who, diff)
		}
	}
}

func TestStreamEndsWhenRevoked(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.follow(t)
	srv := h.serve(t)
	conn := dial(t, srv, "", withToken(h.token(t, "alice", "console")))
	readFrame(t, conn)
	other := dial(t, srv, "", withToken(h.token(t, "bob", "console")))
	readFrame(t, other)
	e := openEvents(t, srv, "", "Authorization", "Bearer "+h.token(t, "alice", "looker"))
	e.next(t)
	h.write(t, testApps()+"revoked: [{user: alice}]")
	if took := wantClose(t, conn, closeUnauthorized); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	event := ""
	for e.lines.Scan() {
		event += e.lines.Text() + "\n"
	}
	if !strings.Contains(event, "event: error\ndata: {") || !strings.Contains(event, `"code":"unauthenticated"`) {
		t.Errorf("got %s", event)
	}
	h.change(t, "bob--blog", "still here")
	if f := readFrame(t, other); !strings.Contains(string(f.Data), "still here") {
		t.Errorf("got %s", f.Data)
	}
	h.write(t, "apps: []")
	if took := wantClose(t, other, closeUnauthorized); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	eventually(t, "no timer runs", func() bool {
		h.streams.mu.Lock()
		defer h.streams.mu.Unlock()
		return h.streams.looks == nil
	})
}

// A reader that doesn't read is gone in time, too.
func TestStuckStreamEndsWhenRevoked(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.follow(t)
	srv := h.serve(t)
	readFrame(t, dial(t, srv, "", withToken(h.token(t, "alice", "console"))))
	openEvents(t, srv, "", "Authorization", "Bearer "+h.token(t, "alice", "console"))
	eventually(t, "two readers", func() bool { return h.hub.open() == 2 })
	// More than the buffers between the two ends hold.
	long := strings.Repeat("x", 1<<20)
	for range 16 {
		h.change(t, "alice--web", long)
	}
	time.Sleep(200 * time.Millisecond)
	h.write(t, testApps()+"revoked: [{user: alice}]")
	start := time.Now()
	eventually(t, "no readers", func() bool { return h.hub.open() == 0 })
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// shortened makes tokens end soon without waiting for a minute.
func (h *house) shortened(t *testing.T, life time.Duration) {
	t.Helper()
	h.streams.pace.check = 20 * time.Millisecond
	check := h.streams.check
	h.streams.check = func(c auth.Caller) error {
		if !c.Expires.IsZero() && time.Since(c.Expires.Add(-time.Minute)) > life {
			c.Expires = time.Now().Add(-time.Second)
		}
		return check(c)
	}
}

func TestStreamEndsWithItsToken(t *testing.T) {
	h := newGuardedHouse(t, time.Minute)
	h.shortened(t, 1500*time.Millisecond)
	conn := dial(t, h.serve(t), "", withToken(h.token(t, "alice", "console")))
	readFrame(t, conn)
	if took := wantClose(t, conn, closeUnauthorized); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestStreamIsRenewed(t *testing.T) {
	h := newGuardedHouse(t, time.Minute)
	h.shortened(t, 2500*time.Millisecond)
	conn := dial(t, h.serve(t), "", withToken(h.token(t, "alice", "console")))
	readFrame(t, conn)
	for n := range 6 {
		time.Sleep(time.Second)
		say(t, conn, h.token(t, "alice", "console"))
		h.change(t, "alice--web", fmt.Sprint(n))
		readFrame(t, conn)
	}
}

// say sends a new token over a stream.
func say(t *testing.T, conn *websocket.Conn, token string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"authorize","data":{"token":%q}}`, token)); err != nil {
		t.Fatal(err)
	}
}

func TestStreamIsNotRenewedBy(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	good := h.token(t, "alice", "console")
	for name, test := range map[string]struct {
		message string
		want    websocket.StatusCode
	}{
		"another user":     {h.token(t, "bob", "console"), closeUnauthorized},
		"the same of ops":  {h.token(t, "alice", "ops"), closeUnauthorized},
		"another app":      {h.token(t, "alice", "looker"), closeUnauthorized},
		"nonsense":         {"nonsense", closeUnauthorized},
		"nothing":          {"", closeUnauthorized},
		"what is too long": {strings.Repeat("x", socketReadLimit), websocket.StatusPolicyViolation},
	} {
		conn := dial(t, srv, "", withToken(good))
		readFrame(t, conn)
		say(t, conn, test.message)
		if wantClose(t, conn, test.want); t.Failed() {
			t.Fatal(name)
		}
	}
	conn := dial(t, srv, "", withToken(good))
	readFrame(t, conn)
	for range 2 * defaultReads().Burst {
		if err := conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"type":"authorize","data":{"token":%q}}`, good)); err != nil {
			break
		}
	}
	wantClose(t, conn, websocket.StatusPolicyViolation)
}

// An admin that acts for somebody goes on doing so with a new token.
func TestStreamOnBehalfIsRenewed(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	opts := withToken(h.token(t, "root", "ops"))
	opts.HTTPHeader.Set(userHeader, "bob")
	conn := dial(t, srv, "", opts)
	readFrame(t, conn)
	say(t, conn, h.token(t, "root", "ops"))
	// The new token has been heard once its answer to this one comes.
	h.change(t, "bob--blog", "before")
	readFrame(t, conn)
	time.Sleep(50 * time.Millisecond)
	h.change(t, "alice--web", "hidden")
	h.change(t, "bob--blog", "shown")
	if f := readFrame(t, conn); !strings.Contains(string(f.Data), "shown") {
		t.Errorf("got %s", f.Data)
	}
}

// No secret of a whole session is in the log, the metrics or an answer.
func TestNoSecretsOutOfASession(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := newGuardedHouse(t, 0, func(o *Options) {
		o.Registerer = registry
		o.Origins = []string{"https://app.example"}
		o.Git = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header, r.URL) })
	})
	h.follow(t)
	srv := h.serve(t)
	var answers bytes.Buffer
	note := func(w *httptest.ResponseRecorder) {
		fmt.Fprint(&answers, w.Header(), w.Body)
	}
	token, other := h.token(t, "alice", "console"), h.token(t, "bob", "console")
	forged := token[:len(token)-8] + "forgery0"
	secrets := []string{appKey, auth.HashKey(appKey), token, other, forged, "Bearer ", "guess-of-a-key", "a-ticket-that-isnt"}
	ticket, spent := h.ticket(t, "alice.console"), h.ticket(t, "alice.console")
	secrets = append(secrets, ticket, spent)

	for _, key := range []string{"guess-of-a-key", appKey + `","x":"`} {
		note(h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"shop","key":"%s","uid":"bob"}`, key)))
		note(h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"%s","key":"x","uid":"bob"}`, key)))
		note(h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"shop","key":"%s"`, key)))
	}
	note(h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"shop","key":%q,"uid":%q}`, appKey, appKey[:30])))
	if w := h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"shop","key":%q,"uid":"bob"}`, appKey)); w.Code == http.StatusOK {
		secrets = append(secrets, decode[Token](t, w).Token)
	}
	for _, credential := range []string{"Bearer " + token, "Bearer " + forged, "Basic " + token, token} {
		for _, target := range []string{"/compute/containers", "/auth", "/compute/nothing?token=" + token, "/compute/events?since=x&ticket=a-ticket-that-isnt"} {
			note(h.ask(t, http.MethodGet, target, "", "Authorization", credential, "Origin", "https://app.example"))
		}
	}
	note(h.ask(t, http.MethodGet, "/compute/sync?ticket="+ticket, ""))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/git/fleet.git/info/refs?service=git-upload-pack", nil)
	r.SetBasicAuth("x", h.token(t, "alice", "cloner"))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	note(w)

	conn := dial(t, srv, "?ticket="+spent, nil)
	readFrame(t, conn)
	say(t, conn, token)
	say(t, conn, other)
	var closed websocket.CloseError
	_, _, err := conn.Read(t.Context())
	if !errors.As(err, &closed) {
		t.Fatal(err)
	}
	answers.WriteString(closed.Reason)
	if _, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath+"?ticket="+spent, nil); err == nil {
		t.Error("the ticket opened a second stream")
	} else if body, err := io.ReadAll(res.Body); err == nil {
		answers.Write(body)
	}
	h.write(t, "apps: [{name: shop, keyHashes: ["+appKey+"]}]")
	eventually(t, "the file is broken", func() bool { return h.guard.Broken() != nil })
	eventually(t, "the log says so", func() bool { return strings.Contains(h.logged(), "apps could not be read") })

	scrape := httptest.NewRecorder()
	Metrics(registry).ServeHTTP(scrape, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`bayplan_authentications_total{method="app",result="refused"}`, `bayplan_authentications_total{method="token",result="ok"}`,
		`bayplan_authentications_total{method="ticket",result="ok"}`, `bayplan_authentications_total{method="token",result="refused"}`,
	} {
		if !strings.Contains(scrape.Body.String(), want) {
			t.Errorf("%s is missing in the metrics", want)
		}
	}
	for place, text := range map[string]string{"log": h.logged(), "metrics": scrape.Body.String(), "answers": answers.String()} {
		if text == "" {
			t.Errorf("the %s hold nothing", place)
		}
		for _, secret := range secrets {
			if secret == "Bearer " && place == "answers" { // the challenge
				continue
			}
			// A part of a token is no less of a secret.
			for _, part := range []string{secret, secret[len(secret)*2/3:]} {
				if len(part) >= 6 && strings.Contains(text, part) {
					t.Errorf("the %s hold %s", place, part)
				}
			}
		}
	}
}
