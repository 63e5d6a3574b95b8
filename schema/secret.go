package schema

import (
	"regexp"
	"strings"
)

var (
	// secretValuePattern knows what well-known secrets look like.
	secretValuePattern = regexp.MustCompile(`PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\b[sr]k_live_[A-Za-z0-9]{10,}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{5,}\.|://[^/\s:@]+:[^/\s:@]+@`)
	// secretNamePattern knows names of variables that hold secrets.
	secretNamePattern = regexp.MustCompile(`(?i)(^|_)(passwd|password|passphrase|secret|token|api_?key|private_?key|access_?key|secret_?key|credentials?)$`)
	// secretLinePattern knows lines of YAML that name a secret and give its value.
	secretLinePattern = regexp.MustCompile(`(?i)(passwd|password|passphrase|secret|token|api_?key|private_?key|access_?key|credentials?)["']?\s*[:,=]\s*(value\s*:\s*)?["']?[^\s"'{\[]`)
)

// secretValue says whether a text looks like a secret whatever it is called.
func secretValue(value string) bool { return secretValuePattern.MatchString(value) }

// secretLine says whether a line of a file may name a secret and give its value.
func secretLine(line string) bool { return secretLinePattern.MatchString(line) }

// secretVariable says whether an environment variable seems to hold a secret.
// Paths, such as those of mounted secrets, don't.
func secretVariable(name, value string) bool {
	if secretValue(value) {
		return true
	}
	return value != "" && !strings.HasPrefix(value, "/") && secretNamePattern.MatchString(name)
}
