package review

import (
	"fmt"
	"slices"
	"strings"
)

// plural is "1 error" or "2 errors".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// some lists the first few names and counts the others.
func some(names []string, shown int) string {
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}

// names are the keys of both maps in order.
func names[V any](a, b map[string]V) []string {
	all := make([]string, 0, max(len(a), len(b)))
	for name := range a {
		all = append(all, name)
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
