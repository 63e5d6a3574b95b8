package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bayplan.dev/schema"
)

// statusText is a frame as the server writes it.
func statusText(t *testing.T, restarts int32) []byte {
	t.Helper()
	text, err := json.Marshal(schema.Frame{Type: schema.FrameContainerStatus, Seq: 7, Data: schema.ContainerStatus{
		ID: containerOf(0), Phase: schema.PhaseRunning, Message: `"restarts":1`, Restarts: restarts,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMarkOf(t *testing.T) {
	if got, ok := markOf(statusText(t, 4711)); !ok || got != 4711 {
		t.Errorf("got %d, %t, want 4711", got, ok)
	}
	for _, text := range []string{"", `{"type":"container_status"}`, `{"type":"containers","data":[{"restarts":5}]}`, `{"type":"container_status","restarts":`} {
		if got, ok := markOf([]byte(text)); ok {
			t.Errorf("%q: got %d, want none", text, got)
		}
	}
}

// TestClients: those who read count what comes after the mark, answer pings and
// say who was dropped, and why; one never reads.
func TestClients(t *testing.T) {
	const all, mute = 6, 1
	begin, finish := make(chan int32), make(chan struct{})
	conns := make(chan *websocket.Conn, all)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		pongs := conn.CloseRead(r.Context())
		if err := conn.Write(r.Context(), websocket.MessageText, []byte(strings.Repeat("x", 100_000))); err != nil {
			t.Error(err)
		}
		conns <- conn
		select {
		case <-finish:
		case <-pongs.Done():
		}
	}))
	defer server.Close()
	defer close(finish)

	in, orders := io.Pipe()
	answers, out := io.Pipe()
	epoch := time.Now()
	ended := make(chan error, 1)
	go func() {
		ended <- clientsMain(t.Context(), []string{
			"-url", server.URL, "-clients", strconv.Itoa(all), "-mute", strconv.Itoa(mute), "-epoch", strconv.FormatInt(epoch.UnixMilli(), 10),
		}, in, out)
	}()
	lines := json.NewDecoder(bufio.NewReader(answers))
	ask := func(o string) (s sighted) {
		t.Helper()
		if o != "" {
			if _, err := fmt.Fprintln(orders, o); err != nil {
				t.Fatal(err)
			}
		}
		if err := lines.Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	ask("")
	ask(`{"since":1}`)
	var open []*websocket.Conn
	for range all {
		open = append(open, <-conns)
	}
	go func() {
		for mark := range begin {
			for _, conn := range open {
				if err := conn.Write(t.Context(), websocket.MessageText, statusText(t, mark)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	begin <- 1 // isn't after the mark
	begin <- 2
	begin <- 3
	close(begin)
	if s := ask(`{"until":3}`); s.Frames != 2*(all-mute) || s.Behind != 0 || s.Gone != 0 || s.Most < s.P50 {
		t.Errorf("got %+v, want two frames of each reader", s)
	}
	pongs := 0
	for _, conn := range open {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if conn.Ping(ctx) == nil {
			pongs++
		}
		cancel()
	}
	if want := all - mute; pongs != want {
		t.Errorf("got %d pongs, want %d", pongs, want)
	}
	for _, conn := range open {
		go conn.Close(websocket.StatusTryAgainLater, "too slow")
	}
	if s := ask(`{"until":4}`); s.Gone != all-mute || s.Behind != 0 || !strings.Contains(s.Why, "1013 too slow") {
		t.Errorf("got %+v, want all readers gone", s)
	}
	if err := orders.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("clients end with %v", err)
	}
}
