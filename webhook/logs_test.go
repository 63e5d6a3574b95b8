package webhook

import (
	"bufio"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

func appendLog(t *testing.T, h *house, text string) {
	t.Helper()
	f, err := os.OpenFile(h.inside.Log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLogsAsText(t *testing.T) {
	h := newHouse(t)
	w := h.get(t, insideWeb+"/logs?tail=2")
	if got, want := w.Body.String(), "two\nthree\n"; got != want || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("got %q %v, want %q", got, w.Header(), want)
	}
	if got := h.get(t, insideWeb+"/logs?tail=0").Body.String(); got != "" {
		t.Errorf("got %q", got)
	}
	res := get(t, h.serve(t), insideWeb+"/logs?follow=true&tail=1", "")
	lines := bufio.NewReader(res.Body)
	for _, want := range []string{"three\n", "four\n", "five\n"} {
		if got, err := lines.ReadString('\n'); err != nil || got != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		appendLog(t, h, map[string]string{"three\n": "four\n", "four\n": "five\n"}[want])
	}
	_ = res.Body.Close()
	eventually(t, "nobody follows", func() bool { return h.inside.Running() == 0 })
	for _, query := range []string{"since=yesterday", "since=-1m", "tail=x", "follow=true&previous=true"} {
		wantProblem(t, h.get(t, insideWeb+"/logs?"+query), http.StatusUnprocessableEntity, "invalid")
	}
	wantProblem(t, h.get(t, insideWeb+"/logs?previous=true"), http.StatusNotFound, "not_found")
}

func TestLogsOverASocket(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	appendLog(t, h, "\xff\n")
	said := openLine(t, srv, insideWeb+"/logs", nil).hear(true, nil)
	var all string
	for _, m := range said.messages {
		text := m.Text
		if m.Encoding == encodingBase64 {
			data, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		all += text
	}
	if want := "one\ntwo\nthree\n\xff\n"; all != want || said.closed != websocket.StatusNormalClosure {
		t.Errorf("got %q, closed %d; want %q", all, said.closed, want)
	}
	l := openLine(t, srv, insideWeb+"/logs?follow=true&tail=1", nil)
	l.hear(true, func(h *speech) bool { return len(h.messages) == 0 })
	appendLog(t, h, "four\n")
	if got := l.hear(true, func(h *speech) bool { return len(h.messages) == 0 }).last(); got.Text != "four\n" || got.Type != messageLog {
		t.Errorf("got %+v", got)
	}
	l.say(`{"type":"eof"}`)
	l.hear(true, nil).wantProblem(t, "invalid", websocket.StatusPolicyViolation)
	eventually(t, "nobody follows", func() bool { return h.inside.Running() == 0 })
}

func TestSomeLines(t *testing.T) {
	long := strings.Repeat("x", 40)
	text := "a\nbb\n\n" + long + "\nlast"
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
		lines := bufio.NewReaderSize(r, 16)
		var got []string
		for {
			data, err := someLines(lines)
			if len(data) > 0 {
				got = append(got, string(data))
			}
			if err != nil {
				break
			}
		}
		if strings.Join(got, "") != text {
			t.Errorf("%s: got %q", name, got)
		}
		for _, piece := range got[:len(got)-1] {
			if !strings.HasSuffix(piece, "\n") && len(piece) != 16 {
				t.Errorf("%s: a line was cut at %q", name, piece)
			}
		}
	}
	if diff := cmp.Diff("a\nb\n", first2(t, "a\nb\nc")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// first2 is what comes out at once of what was there at once.
func first2(t *testing.T, text string) string {
	t.Helper()
	data, err := someLines(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
