package webhook

import (
	"maps"
	"slices"
	"strings"
)

// matches reports whether a filter that may be empty lets the value through.
func matches(filter, value string) bool { return filter == "" || filter == value }

func keys[V any](m map[string]V) []string { return slices.Collect(maps.Keys(m)) }

// noneMatch reports whether an If-None-Match header names the ETag, compared
// weakly as RFC 9110, 13.1.2 has it.
func noneMatch(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
