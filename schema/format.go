package schema

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/distribution/reference"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// format names a check of a text that CUE can't express.
type format string

const (
	formatQuantity  format = "quantity"
	formatTime      format = "time"
	formatDuration  format = "duration"
	formatCIDR      format = "cidr"
	formatIP        format = "ip"
	formatImage     format = "image"
	formatPublicKey format = "publicKey"
)

// formats are the checks by their names in the CUE files.
var formats = map[format]func(string) error{ //nolint:gochecknoglobals // a table
	formatQuantity: func(s string) error {
		_, err := resource.ParseQuantity(s)
		return err
	},
	formatTime: func(s string) error {
		_, err := time.Parse(time.RFC3339, s)
		return err
	},
	formatDuration: func(s string) error {
		_, err := time.ParseDuration(s)
		return err
	},
	formatCIDR: func(s string) error {
		prefix, err := netip.ParsePrefix(s)
		if err == nil && prefix != prefix.Masked() {
			return fmt.Errorf("has bits beyond its length; use %s", prefix.Masked())
		}
		return err
	},
	formatIP: func(s string) error {
		_, err := netip.ParseAddr(s)
		return err
	},
	formatImage: func(s string) error {
		_, err := reference.ParseNormalizedNamed(s)
		return err
	},
	formatPublicKey: func(s string) error {
		_, _, err := ParsePublicKey(s)
		return err
	},
}

// rejectFormat says why a text has not the field's format.
func (r *reader) rejectFormat(f *field, node *yaml.Node, path fieldPath, err error) {
	switch f.format {
	case formatPublicKey:
		// The text may be anything, a private key included: it is never shown.
		finding := r.page.place(node, Finding{
			Code: "bad-public-key", Path: path.String(), Message: err.Error(),
			Help: "copy the line of the .pub file that ssh-keygen wrote",
		})
		finding.Source, finding.Width = "", 0
		r.page.findings = append(r.page.findings, finding)
	case formatImage:
		r.page.report(node, Finding{
			Code: "bad-image", Path: path.String(),
			Message: fmt.Sprintf("%s is not an image reference: %s", r.page.show(node), err),
			Help:    "write registry/repository:tag, " + such(f),
		})
	case formatCIDR:
		r.page.report(node, Finding{
			Code: "bad-value", Path: path.String(),
			Message: fmt.Sprintf("%s is not a range in CIDR form", r.page.show(node)),
			Help:    "write an address and the length of its prefix, without bits beyond it, such as 198.41.128.0/24",
		})
	case formatQuantity, formatTime, formatDuration, formatIP:
		r.reject(f, node, path)
	}
}

var quantityPattern = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT])(i?)(?:[bB]|ytes)?\s*$`)

// quantityHelp guesses what was meant by a text that isn't a quantity.
func quantityHelp(written string, f *field) string {
	m := quantityPattern.FindStringSubmatch(written)
	if m == nil {
		return "write a quantity, " + such(f)
	}
	unit := strings.ToUpper(m[2])
	decimal := unit
	if unit == "K" {
		decimal = "k"
	}
	return fmt.Sprintf("use %s%si (binary) or %s%s (decimal)", m[1], unit, m[1], decimal)
}
