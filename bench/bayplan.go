package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bayplan is a running `bay serve` that hosts its repository, and what looks at it.
type bayplan struct {
	program, kubeconfig string
	// watched servers say little and have metrics, which metrics is the address of.
	watched bool
	metrics string
	dir     string
	listen  string
	url     string
	log     string
	pid     int
	started time.Time
	stream  *stream
	end     func() error
}

// newBayplan starts `bay serve` for the cluster, with an empty repository.
func (b *bench) newBayplan(ctx context.Context, c *cluster) (*bayplan, error) {
	dir, err := os.MkdirTemp(c.dir, "bay-")
	if err != nil {
		return nil, err
	}
	p := &bayplan{program: b.bay, kubeconfig: c.engineConfig, dir: dir, listen: "127.0.0.1:0", watched: b.watched}
	return p, p.start(ctx)
}

// withBayplan runs work on a server that is ended afterwards; what it said in
// vain is part of the error.
func (b *bench) withBayplan(ctx context.Context, c *cluster, work func(*bayplan) error) error {
	p, err := b.newBayplan(ctx, c)
	if err != nil {
		return err
	}
	if err := work(p); err != nil {
		return errors.Join(err, p.stop(), p.said())
	}
	return p.stop()
}

// start starts the program and opens its stream.
func (p *bayplan) start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	args, err := p.args()
	if err != nil {
		cancel()
		return err
	}
	cmd := exec.CommandContext(ctx, p.program, args...) //nolint:gosec // the program that -bay names
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	p.log = filepath.Join(p.dir, "bay.log")
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		cancel()
		return err
	}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	p.started = time.Now()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return errors.Join(err, log.Close())
	}
	p.pid = cmd.Process.Pid
	p.end = func() error {
		cancel()
		err := cmd.Wait()
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(err, log.Close())
	}
	lines := bufio.NewScanner(stdout)
	url, ok := nextAddress(lines)
	if ok && p.watched {
		p.metrics, ok = nextAddress(lines)
	}
	if !ok {
		return errors.Join(errors.New("bay serve ended before it served"), p.end(), p.said())
	}
	p.url, p.listen = url, strings.TrimPrefix(url, "http://")
	if p.stream, err = openStream(ctx, url); err != nil {
		return errors.Join(err, p.end(), p.said())
	}
	return nil
}

// args are those of bay. Its log would fill the disk in a long run.
func (p *bayplan) args() ([]string, error) {
	args := []string{"serve", "--listen", p.listen, "--kubeconfig", p.kubeconfig, "--host", filepath.Join(p.dir, "repository")}
	if !p.watched {
		return append(args, "--metrics-listen", ""), nil
	}
	config := filepath.Join(p.dir, "config.yaml")
	return append(args, "--metrics-listen", "127.0.0.1:0", "--config", config), writeFile(config, "log: {level: WARN}\n")
}

// nextAddress reads a line such as "serving … at http://127.0.0.1:8080"; without
// one the program has ended, and its log says why.
func nextAddress(lines *bufio.Scanner) (string, bool) {
	lines.Scan()
	_, url, ok := strings.Cut(strings.TrimSpace(lines.Text()), " at ")
	return url, ok
}

// stop ends the program in order.
func (p *bayplan) stop() error {
	if err := p.end(); err != nil {
		return fmt.Errorf("end bay serve: %w", err)
	}
	return nil
}

// said is the end of its log as an error.
func (p *bayplan) said() error {
	text, err := os.ReadFile(p.log)
	if err != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("bay serve said: %s", text[max(0, len(text)-2000):])
}

// forgetPeak begins anew with the most memory that the process has had (proc(5), clear_refs).
func (p *bayplan) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0o200)
}

func (p *bayplan) usage() (usage, error) { return usageOf(p.pid) }
