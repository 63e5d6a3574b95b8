package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// requests are counts by verb.
type requests map[string]int

// requests reads how many requests of the engines' user the API server has
// handled until now.
func (c *cluster) requests(ctx context.Context) (requests, error) {
	text, err := c.client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	return parseRequests(text), nil
}

func parseRequests(text []byte) requests {
	const metric, label = "apiserver_flowcontrol_dispatched_requests_total{", `flow_schema="` + flowPrefix
	r := requests{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), metric)
		if !ok {
			continue
		}
		_, after, ok := strings.Cut(line, label)
		if !ok {
			continue
		}
		verb, _, _ := strings.Cut(after, `"`)
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err == nil {
			r[verb] += int(n)
		}
	}
	return r
}

// since is what came after before.
func (r requests) since(before requests) requests {
	diff := requests{}
	for verb, n := range r {
		if d := n - before[verb]; d != 0 {
			diff[verb] = d
		}
	}
	return diff
}

// counted leaves out the watches and the slow sweep, which lists.
func (r requests) counted() int {
	n := 0
	for verb, count := range r {
		if verb != "watch" && verb != "list" {
			n += count
		}
	}
	return n
}

// String is "3 get, 10 patch".
func (r requests) String() string {
	if len(r) == 0 {
		return "none"
	}
	var parts []string
	for _, verb := range slices.Sorted(maps.Keys(r)) {
		parts = append(parts, fmt.Sprintf("%d %s", r[verb], verb))
	}
	return strings.Join(parts, ", ")
}
