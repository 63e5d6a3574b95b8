package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

const tailLines = 6

// serious are the lines of a log that tell why a component ended: klog's errors and fatals,
// etcd's, kwok's, containerd's, panics, and what commands say before they exit.
var serious = regexp.MustCompile(`^[EF]\d{4} |"level":"(error|fatal|panic)"|level=(ERROR|error|fatal) |^(panic|fatal error|[Ee]rror|devcluster|containerd): `)

// rotate keeps the logs of one start before this one, so they stay bounded.
func (d dataDir) rotate(component string) error {
	err := os.Rename(d.log(component), d.log(component)+".1")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate log: %w", err)
	}
	return nil
}

func (d dataDir) openLog(component string) (*os.File, error) {
	return os.OpenFile(d.log(component), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// tail is the end of a component's log, or of what is serious in it.
func (d dataDir) tail(component string) string {
	data, err := os.ReadFile(d.log(component))
	if err != nil {
		return err.Error()
	}
	return d.log(component) + ":\n" + lastLines(string(data))
}

func lastLines(log string) string {
	var all, grave []string
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		all = append(all, "  "+line)
		if serious.MatchString(line) {
			grave = append(grave, "  "+line)
		}
	}
	if len(grave) == 0 {
		grave = all
	}
	return strings.Join(grave[max(0, len(grave)-tailLines):], "\n")
}
