package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/webhook"
)

func TestLogs(t *testing.T) {
	v := newVessel(t)
	if a := v.call(t, 0, "", "logs", "alice--web", "--tail", "2"); a.stdout != "two\nthree\n" {
		t.Errorf("got %q", a.stdout)
	}
	v.call(t, exitNotFound, "", "logs", "--previous", "alice--web")
	v.call(t, exitNotFound, "", "logs", "alice--nope")
	v.call(t, exitUsage, "", "logs", "-f", "--previous", "alice--web")
	v.call(t, exitUsage, "", "logs", "--tail", "-2", "alice--web")
	v.call(t, exitFailed, "", "logs", "--since", "yesterday", "alice--web")
	out, stop := v.start(t, "logs", "-f", "alice--web")
	eventually(t, "the log", func() bool { return out.String() == "one\ntwo\nthree\n" })
	f, err := os.OpenFile(v.Log, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("four \xff\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what came since", func() bool { return out.String() == "one\ntwo\nthree\nfour \xff\n" })
	stop()
	eventually(t, "nobody follows", func() bool { return v.Running() == 0 })
}

// A log is taken up again where its connection broke: nothing twice, nothing lost.
func TestLogsGoOn(t *testing.T) {
	p := newPeer(t)
	const stamp = "2026-11-21T10:00:0%d.5Z "
	var asked []string
	p.mux.HandleFunc("GET /compute/containers/alice--web/logs", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		asked = append(asked, r.URL.RawQuery)
		line := func(n int, text string) string { return fmt.Sprintf(stamp, n) + text }
		ctx := r.Context()
		say := func(text string) { _ = wsjson.Write(ctx, conn, webhook.Message{Type: "log", Text: text}) }
		if len(asked) == 1 {
			say(line(1, "one\n") + line(2, "two is lo"))
			say("ng\n")
			return // cut
		}
		say(line(1, "one\n") + line(2, "two is lo"))
		say("ng\n" + line(3, "three\n"))
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	a := callBay(t, p.env(), "", "logs", "-f", "--tail", "5", "alice--web").ok(t)
	if want := "one\ntwo is long\nthree\n"; a.stdout != want || !strings.Contains(a.stderr, "trying again") {
		t.Errorf("got %q, %q; want %q", a.stdout, a.stderr, want)
	}
	if len(asked) != 2 || asked[0] != "follow=true&tail=5&timestamps=true" || asked[1] != "follow=true&since=2026-11-21T10%3A00%3A02Z&timestamps=true" {
		t.Errorf("asked %q", asked)
	}
	asked = nil
	a = callBay(t, p.env(), "", "logs", "-f", "--timestamps", "alice--web").ok(t)
	if want := fmt.Sprintf(stamp+"one\n"+stamp+"two is long\n"+stamp+"three\n", 1, 2, 3); a.stdout != want {
		t.Errorf("got %q, want %q", a.stdout, want)
	}
}
