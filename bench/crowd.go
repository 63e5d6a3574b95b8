package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	// clientsCommand makes this program the clients of a server: a process of its
	// own, so that their CPU time is their own.
	clientsCommand = "clients"
	// otherFiles is what a process has open besides its clients.
	otherFiles = 500
)

// order is what the clients are asked, a line of JSON each: to begin counting
// with the changes after a mark, or what they saw until one.
type order struct {
	Since int64 `json:"since,omitempty"`
	Until int64 `json:"until,omitempty"`
}

// sighted is what the clients that read have seen.
type sighted struct {
	P50, P99, Most time.Duration
	Frames         int64
	// Behind never got the last change, Gone were dropped; Why says why the first was.
	Behind, Gone int
	Why          string
	CPU          time.Duration
}

// String is as that of samples.
func (s sighted) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, most %s of %d", millis(s.P50), millis(s.P99), millis(s.Most), s.Frames)
}

// crowdProcess is the clients as the bench sees them.
type crowdProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

// join starts the clients and returns when all have a place and the ones that
// read have the first frame.
func (a *audience) join(ctx context.Context) (*crowdProcess, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	if need := uint64(a.clients + otherFiles); limit.Max < need {
		return nil, fmt.Errorf("%d clients need %d open files, and %d are allowed (ulimit -Hn); ask for fewer with -clients", a.clients, need, limit.Max)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, clientsCommand, //nolint:gosec // this program
		"-url", a.bayplan.url, "-clients", strconv.Itoa(a.clients), "-mute", strconv.Itoa(a.mute), "-epoch", strconv.FormatInt(a.changes.epoch.UnixMilli(), 10))
	cmd.Stderr = os.Stderr
	c := &crowdProcess{cmd: cmd}
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.answers = json.NewDecoder(bufio.NewReader(out))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var all sighted
	if err := c.answers.Decode(&all); err != nil {
		return nil, c.failed(fmt.Errorf("clients: %w", err))
	}
	return c, nil
}

// ask gives the clients an order and reads their answer. It ends with the
// context, which ends the process.
func (c *crowdProcess) ask(ctx context.Context, o order, answer *sighted) error {
	*answer = sighted{}
	err := json.NewEncoder(c.in).Encode(o)
	if err == nil {
		err = c.answers.Decode(answer)
	}
	if err != nil {
		return fmt.Errorf("clients: %w", errors.Join(err, ctx.Err()))
	}
	return nil
}

// end has the clients hang up.
func (c *crowdProcess) end() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}

// failed ends the clients because of err.
func (c *crowdProcess) failed(err error) error {
	return errors.Join(err, c.end())
}
