package webhook

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/into"
)

// FuzzTerminal says anything to a terminal: it does what is allowed, or says
// that it was no message.
func FuzzTerminal(f *testing.F) {
	for _, text := range []string{
		`{"type":"resize","cols":80,"rows":24}`, `{"type":"resize","cols":-1}`, `{"type":"signal","signal":"INT"}`, `{"type":"eof"}`,
		`{"type":"start","command":["a\u0000"]}`, "\x00data", "\x01", "", "[]", `{"type":"authorize","data":{}}`, `{"cols":65536,"type":"resize"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		in, stdin := io.Pipe()
		got := make(chan []byte, 1)
		go func() {
			data, _ := io.ReadAll(in)
			got <- data
		}()
		terminal := &terminal{stdin: stdin, resize: make(chan into.Size, 1), signals: make(chan string, maxSignals)}
		if m, err := decodeMessage(bytes.NewReader(message)); err == nil {
			if err := terminal.control(m); err != nil && !errors.Is(err, errMisspoke) {
				t.Errorf("control: %v", err)
			}
			_ = runnable(m.Command) // must not panic
		} else if !errors.Is(err, errMisspoke) {
			t.Errorf("decode: %v", err)
		}
		err := terminal.input(bytes.NewReader(message))
		_ = stdin.Close()
		said := <-got
		switch {
		case err == nil && len(said) > 0 && !bytes.Equal(said, message[1:]):
			t.Errorf("input: got %q of %q", said, message)
		case err != nil && !errors.Is(err, errMisspoke):
			t.Errorf("input: %v", err)
		}
		select {
		case s := <-terminal.resize:
			if s.Columns == 0 || s.Rows == 0 {
				t.Errorf("size %+v", s)
			}
		case s := <-terminal.signals:
			if !slices.Contains(signals, s) {
				t.Errorf("signal %q", s)
			}
		default:
		}
	})
}

func FuzzCleanPath(f *testing.F) {
	for _, p := range []string{"/", "/a/../b", "//a//b/", "/a/..b/c", "/..", "relative", "/a\x00", "/\xff", "/./.", "/...", strings.Repeat("/x", maxPath)} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		got, err := cleanPath(p)
		if err != nil {
			if schema.CodeOf(err) != schema.Invalid {
				t.Errorf("%q: %v", p, err)
			}
			return
		}
		if !strings.HasPrefix(got, "/") || got != path.Clean(got) || strings.Contains(got+"/", "/../") || strings.ContainsRune(got, 0) || len(got) > maxPath {
			t.Errorf("%q became %q", p, got)
		}
	})
}
