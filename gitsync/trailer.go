package gitsync

import (
	"net/textproto"
	"regexp"
	"strings"
)

var trailerPattern = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*)$`)

// parseTrailers returns the "Key: value" lines of the message's last
// paragraph, which the subject can't be. Keys are spelled like headers
// ("Allow-Mass-Delete") because git doesn't mind their case; a line that
// begins with a blank goes on with the value before it.
func parseTrailers(message string) map[string][]string {
	message = strings.TrimRight(strings.ReplaceAll(message, "\r\n", "\n"), " \t\n")
	lines := strings.Split(message, "\n")
	first := len(lines)
	for first > 0 && strings.TrimSpace(lines[first-1]) != "" {
		first--
	}
	if first == 0 {
		return nil
	}
	var trailers map[string][]string
	last := ""
	for _, line := range lines[first:] {
		if last != "" && (line[0] == ' ' || line[0] == '\t') {
			values := trailers[last]
			values[len(values)-1] = strings.TrimSpace(values[len(values)-1] + " " + strings.TrimSpace(line))
			continue
		}
		m := trailerPattern.FindStringSubmatch(line)
		if last = ""; m == nil {
			continue
		}
		last = textproto.CanonicalMIMEHeaderKey(m[1])
		if trailers == nil {
			trailers = map[string][]string{}
		}
		trailers[last] = append(trailers[last], strings.TrimSpace(m[2]))
	}
	return trailers
}
