package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// dials are under way side by side.
	dials = 64
	// longest is what is told apart of lags, in milliseconds.
	longest = 60_000
	// behindAfter is how long the last change may take to reach everybody.
	behindAfter = time.Minute
)

// The text of a frame that tells of a restart.
const (
	statusFrame  = `{"type":"container_status"`
	restartField = `"restarts":`
)

// clients are all who watch one server.
type clients struct {
	address string
	epoch   time.Time
	readers []*reader
	mute    []*wire

	since atomic.Int64
	// lags counts frames by their lag in milliseconds.
	lags [longest + 1]atomic.Uint32
	// used is the CPU time at the last Since.
	used time.Duration

	mu  sync.Mutex
	why string // of the first reader that was dropped
}

// reader is a client that reads.
type reader struct {
	*wire
	// mark is the latest that it has read, gone is set when it was dropped.
	mark atomic.Int64
	gone atomic.Bool
}

// clientsMain connects, says so, and then does what it is told until in ends.
func clientsMain(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var url string
	var all, mute int
	var epoch int64
	flags := flag.NewFlagSet(clientsCommand, flag.ContinueOnError)
	flags.StringVar(&url, "url", "", "the server")
	flags.IntVar(&all, "clients", 0, "clients")
	flags.IntVar(&mute, "mute", 0, "clients that never read")
	flags.Int64Var(&epoch, "epoch", 0, "milliseconds since 1970 at which marks begin")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := &clients{address: strings.TrimPrefix(url, "http://"), epoch: time.UnixMilli(epoch), readers: make([]*reader, all-mute), mute: make([]*wire, mute)}
	c.since.Store(longest << 32) // nothing counts yet
	var reading sync.WaitGroup
	defer func() {
		c.close()
		reading.Wait()
	}()
	if err := c.dial(ctx, &reading); err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	if err := answers.Encode(sighted{}); err != nil {
		return err
	}
	for orders := json.NewDecoder(in); ; {
		var o order
		switch err := orders.Decode(&o); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := answers.Encode(c.obey(o)); err != nil {
			return err
		}
	}
}

// dial connects everybody, and has those who read begin.
func (c *clients) dial(ctx context.Context, reading *sync.WaitGroup) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dials)
	for i := range c.mute {
		group.Go(func() error {
			w, err := dialWire(ctx, c.address)
			if err != nil {
				return err
			}
			c.mute[i] = w
			return w.deafen()
		})
	}
	for i := range c.readers {
		group.Go(func() error {
			w, err := dialWire(ctx, c.address)
			if err != nil {
				return err
			}
			c.readers[i] = &reader{wire: w}
			if _, err := w.read(); err != nil { // everything as it is
				return err
			}
			reading.Go(func() { c.read(c.readers[i]) })
			return nil
		})
	}
	return group.Wait()
}

func (c *clients) close() {
	for _, r := range c.readers {
		if r != nil {
			r.close()
		}
	}
	for _, w := range c.mute {
		if w != nil {
			w.close()
		}
	}
}

// read takes frames until the connection ends.
func (c *clients) read(r *reader) {
	for {
		text, err := r.read()
		if err != nil {
			r.gone.Store(true)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.why == "" {
				c.why = err.Error()
			}
			return
		}
		mark, ok := markOf(text)
		if !ok {
			continue
		}
		if mark > c.since.Load() {
			lag := time.Since(c.epoch).Milliseconds() - mark
			c.lags[min(max(lag, 0), longest)].Add(1)
		}
		if mark > r.mark.Load() {
			r.mark.Store(mark)
		}
	}
}

// markOf finds the mark in the text of a frame.
func markOf(text []byte) (int64, bool) {
	at := bytes.LastIndex(text, []byte(restartField))
	if at < 0 || !bytes.HasPrefix(text, []byte(statusFrame)) {
		return 0, false
	}
	digits := text[at+len(restartField):]
	end := bytes.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	mark, err := strconv.ParseInt(string(digits[:max(end, 0)]), 10, 64)
	return mark, err == nil
}

func (c *clients) obey(o order) sighted {
	if o.Until == 0 {
		c.since.Store(o.Since)
		for i := range c.lags {
			c.lags[i].Store(0)
		}
		c.used = ownCPU()
		return sighted{}
	}
	s := sighted{CPU: ownCPU() - c.used}
	for deadline := time.Now().Add(behindAfter); ; time.Sleep(10 * time.Millisecond) {
		s.Behind, s.Gone = 0, 0
		for _, r := range c.readers {
			switch {
			case r.gone.Load():
				s.Gone++
			case r.mark.Load() < o.Until:
				s.Behind++
			}
		}
		if s.Behind == 0 || time.Now().After(deadline) {
			break
		}
	}
	c.count(&s)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Why = c.why
	return s
}

// count reads the lags.
func (c *clients) count(s *sighted) {
	for i := range c.lags {
		s.Frames += int64(c.lags[i].Load())
	}
	s.P50, s.P99, s.Most = c.lag(s.Frames, .5), c.lag(s.Frames, .99), c.lag(s.Frames, 1)
}

// lag is the least that the share of the frames doesn't exceed.
func (c *clients) lag(frames int64, share float64) time.Duration {
	var n int64
	for i := range c.lags {
		if n += int64(c.lags[i].Load()); n > 0 && float64(n) >= share*float64(frames) {
			return time.Duration(i) * time.Millisecond
		}
	}
	return 0
}

func ownCPU() time.Duration {
	u := ownUsage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// errHungUp is what a server says when it has had enough.
var errHungUp = errors.New("the server hung up")

func hungUp(code uint16, reason []byte) error {
	return fmt.Errorf("%w: %d %s", errHungUp, code, reason)
}
