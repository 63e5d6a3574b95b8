package gitsync

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os/exec"
	"strconv"
)

// maxHeldAnswer is how much of an answer is held back for before. A push is
// answered with some hundred bytes and the report.
const maxHeldAnswer = 4 << 20

// cgi runs one command for one request (RFC 3875). net/http/cgi has no
// chunked bodies, which git sends for every push past 1 MiB, and doesn't end
// its child with the request.
type cgi struct {
	command *exec.Cmd
	body    io.Reader
	// before, where set, runs between the command's end and the answer.
	before func() error
}

func (c *cgi) run(w http.ResponseWriter) error {
	said := &boundedBuffer{}
	c.command.Stdin = c.body
	c.command.Stderr = said
	out, err := c.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.command.Start(); err != nil {
		http.Error(w, "git can't be run", http.StatusInternalServerError)
		return err
	}
	err = c.answer(w, bufio.NewReader(out))
	// Wait after all was read: it closes the pipe. What copies the body ends
	// when the command does, or when the handler returns.
	waited := c.command.Wait()
	endGroup(c.command)
	if err = errors.Join(err, explainWait(waited)); err != nil {
		return fmt.Errorf("%w: %s", err, printable(said.String()))
	}
	return nil
}

// explainWait leaves out that the body wasn't read to its end, which is git's
// right and no fault.
func explainWait(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}

func (c *cgi) answer(w http.ResponseWriter, out *bufio.Reader) error {
	header, err := textproto.NewReader(out).ReadMIMEHeader()
	if err != nil {
		http.Error(w, "git gave no answer", http.StatusInternalServerError)
		return fmt.Errorf("read header: %w", err)
	}
	status := http.StatusOK
	if text := header.Get("Status"); text != "" {
		if status, err = strconv.Atoi(text[:min(3, len(text))]); err != nil || status < 200 || status > 599 {
			status = http.StatusInternalServerError
		}
		header.Del("Status")
	}
	held, err := c.hold(out)
	if err != nil {
		http.Error(w, "the push can't be made durable", http.StatusInternalServerError)
		return err
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(status)
	if _, err := io.Copy(w, io.MultiReader(held, out)); err != nil {
		return fmt.Errorf("send answer: %w", err)
	}
	return nil
}

// hold keeps the answer back until before has run.
func (c *cgi) hold(out io.Reader) (io.Reader, error) {
	var held bytes.Buffer
	if c.before == nil {
		return &held, nil
	}
	if _, err := io.Copy(&held, io.LimitReader(out, maxHeldAnswer)); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return &held, c.before()
}
