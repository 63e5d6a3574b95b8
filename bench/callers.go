package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
)

// comeBack is the pause of a caller that was told to come back.
const comeBack = 50 * time.Millisecond

// callers change containers over the API and remember what was answered.
type callers struct {
	url        string
	containers int
	http       *http.Client
	// changes counts the changes, so that each has an image of its own.
	changes atomic.Int64
	refused atomic.Int64

	mu sync.Mutex
	// acked are the operations that were answered, by commit.
	acked map[string]string
}

func newCallers(g *ground) *callers {
	return &callers{
		url: g.bayplan.url, containers: g.containers(), acked: map[string]string{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowdCallers}},
	}
}

func (c *callers) close() { c.http.CloseIdleConnections() }

// target is the container that the i-th change meets: another one each time,
// with a prime between.
func (c *callers) target(i int) schema.ContainerID { return containerOf(i * 7919 % c.containers) }

func (c *callers) newImage() string {
	return fmt.Sprintf("registry.example.com/app:2.0.%d", c.changes.Add(1))
}

// patch makes the i-th change and returns how long it took until it was acked.
// A caller that is told to come back does, with the same key.
func (c *callers) patch(ctx context.Context, i int) (time.Duration, error) {
	image := c.newImage()
	start := time.Now()
	for {
		status, text, err := c.send(ctx, i, image)
		switch {
		case err != nil:
			return 0, err
		case status == http.StatusAccepted:
			return time.Since(start), c.remember(text)
		case status != http.StatusServiceUnavailable:
			return 0, fmt.Errorf("PATCH %s: %d %s", c.target(i), status, text)
		}
		c.refused.Add(1)
		if err := sleep(ctx, comeBack); err != nil {
			return 0, err
		}
	}
}

func (c *callers) send(ctx context.Context, i int, image string) (int, []byte, error) {
	body := fmt.Sprintf(`{"spec":{"image":%q}}`, image)
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, c.url+"/compute/containers/"+c.target(i).String(), strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/merge-patch+json")
	request.Header.Set("Idempotency-Key", image)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func (c *callers) remember(text []byte) error {
	var answer struct {
		Commit    string
		Operation struct{ ID string }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("answer %s: %w", text, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, twice := c.acked[answer.Commit]; twice {
		return fmt.Errorf("commit %s was answered for two calls, as operation %s and %s", answer.Commit, other, answer.Operation.ID)
	}
	c.acked[answer.Commit] = answer.Operation.ID
	return nil
}

// crowded is what many callers side by side got.
type crowded struct {
	samples
	took    time.Duration
	rate    float64
	refused int64
}

// crowd lets many callers write for a while. What is on its way at the end is
// waited for and counted, with the time that it takes.
func (c *callers) crowd(ctx context.Context, during time.Duration) (crowded, error) {
	var mu sync.Mutex
	var all crowded
	refused, start := c.refused.Load(), time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for n := range crowdCallers {
		group.Go(func() error {
			for i := n; time.Since(start) < during; i += crowdCallers {
				took, err := c.patch(ctx, i)
				if err != nil {
					return err
				}
				mu.Lock()
				all.samples = append(all.samples, took)
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	all.took = time.Since(start)
	all.rate = float64(len(all.samples)) / all.took.Seconds()
	all.refused = c.refused.Load() - refused
	return all, err
}
