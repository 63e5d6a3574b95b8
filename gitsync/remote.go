package gitsync

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"bayplan.dev/schema"
)

// DefaultBranch is the branch that is served where none is named.
const DefaultBranch = "main"

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
	schemeFile  = "file"
)

// Remote is a repository and how to get in. Files are read whenever a
// connection is made, so a rotated credential works at once.
type Remote struct {
	// URL is https://…, ssh://…, user@host:path, file:///… or a local path.
	// Plain http:// is for loopback addresses unless AllowHTTP is set.
	URL string
	// Branch is DefaultBranch when empty.
	Branch string
	// Username and Password (or PasswordFile, without its last line break) are
	// sent to the URL's own host only. A token needs no username.
	Username     string
	Password     Secret
	PasswordFile string
	// CAFile holds the certificates, in PEM, that may have signed the server's;
	// empty means the system's.
	CAFile string
	// KeyFile is a private key for ssh; KnownHostsFile holds the server's key.
	KeyFile        string
	KnownHostsFile string
	AllowHTTP      bool
}

// Secret is a string that prints as stars.
type Secret string

func (Secret) String() string { return "***" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "***" }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText keeps the secret out of JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// address is a checked URL without its credentials: it can be printed.
type address struct {
	scheme string
	user   string // ssh only
	host   string // as in URLs: port and brackets included
	path   string
}

func (a address) local() bool { return a.scheme == schemeFile }

func (a address) String() string {
	switch a.scheme {
	case schemeFile:
		return a.path
	case schemeSSH:
		return "ssh://" + a.host + "/" + strings.TrimPrefix(a.path, "/")
	}
	return a.scheme + "://" + a.host + a.path
}

// scpPattern is git's short form of an ssh address.
var scpPattern = regexp.MustCompile(`^(?:([^@/:]+)@)?([^@/:\[\]]+|\[[0-9a-fA-F:]+\]):(.+)$`)

// parse checks the URL and takes the credentials that it holds.
func (r *Remote) parse() (address, error) {
	if r.Branch == "" {
		r.Branch = DefaultBranch
	}
	if strings.Contains(r.URL, "://") {
		return r.parseURL()
	}
	if m := scpPattern.FindStringSubmatch(r.URL); m != nil {
		return sshAddress(m[1], m[2], m[3])
	}
	if r.URL == "" {
		return address{}, schema.Errorf(schema.Invalid, "repository URL is empty")
	}
	return localAddress(r.URL)
}

// parseURL never wraps the error of url.Parse, which quotes the whole URL.
func (r *Remote) parseURL() (address, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return address{}, schema.Errorf(schema.Invalid, "repository URL can't be parsed")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, schema.Errorf(schema.Invalid, "repository URL %s://%s%s has a query or a fragment", u.Scheme, u.Host, u.Path)
	}
	switch u.Scheme {
	case schemeFile:
		return localAddress(u.Path)
	case schemeSSH:
		return sshAddress(u.User.Username(), u.Host, strings.TrimPrefix(u.Path, "/~"))
	case schemeHTTP, schemeHTTPS:
	default:
		return address{}, schema.Errorf(schema.Invalid, "repository URL has scheme %q: use https, ssh or a local path", u.Scheme)
	}
	if u.Hostname() == "" {
		return address{}, schema.Errorf(schema.Invalid, "repository URL has no host")
	}
	if u.Scheme == schemeHTTP && !r.AllowHTTP && !loopback(u.Hostname()) {
		return address{}, schema.Errorf(schema.Invalid, "repository http://%s%s: plain http would show credentials and content to everybody between: use https", u.Host, u.Path)
	}
	r.takeUserinfo(u.User)
	return address{scheme: u.Scheme, host: u.Host, path: strings.TrimRight(u.Path, "/")}, nil
}

func (r *Remote) takeUserinfo(info *url.Userinfo) {
	if info == nil {
		return
	}
	if password, ok := info.Password(); ok && r.Password == "" && r.PasswordFile == "" {
		r.Password = Secret(password)
	}
	if r.Username == "" {
		r.Username = info.Username()
	}
}

func sshAddress(user, host, path string) (address, error) {
	if user == "" {
		user = "git"
	}
	// What begins with a dash is an option to every tool it is handed to;
	// "name::" is git's way to call one.
	if host == "" || path == "" || host[0] == '-' || path[0] == '-' || path[0] == ':' {
		return address{}, schema.Errorf(schema.Invalid, "ssh repository needs a host and a path: ssh://git@host/path or git@host:path")
	}
	return address{scheme: schemeSSH, user: user, host: host, path: path}, nil
}

func localAddress(path string) (address, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return address{}, schema.Errorf(schema.Invalid, "repository path: %w", err)
	}
	return address{scheme: schemeFile, path: path}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// dialAddress is host:port with the scheme's port filled in.
func (a address) dialAddress() string {
	if _, _, err := net.SplitHostPort(a.host); err == nil {
		return a.host
	}
	return net.JoinHostPort(strings.Trim(a.host, "[]"), "22")
}

// password reads the password or token that is to be sent, "" without one.
func (r *Remote) password() (Secret, error) {
	if r.PasswordFile == "" {
		return r.Password, nil
	}
	b, err := os.ReadFile(r.PasswordFile)
	if err != nil {
		return "", schema.Errorf(schema.Invalid, "read password file: %w", err)
	}
	return Secret(strings.TrimRight(string(b), "\r\n")), nil
}

// userinfoPattern finds credentials in text that others wrote.
var userinfoPattern = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]*@|(\?)[^\s"']*`)

// redact cleans text of a server before it becomes part of an error.
func redact(text string, secrets ...Secret) string {
	text = userinfoPattern.ReplaceAllString(text, "$1$2***")
	for _, s := range secrets {
		if len(s) > 0 {
			text = strings.ReplaceAll(text, string(s), "***")
		}
	}
	return fmt.Sprintf("%.500s", printable(text))
}

// printable replaces what could drive a terminal; line breaks and tabs stay.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
