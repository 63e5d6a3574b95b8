// Package gateway is the SSH server in front of every container:
//
//	ssh alice--shop--api@gateway.example.com
//
// The user name is the container's id. Who may log in is the fleet's word: the
// keys of the container's owner that its ssh field allows, compared whole. Keys
// never enter a container and nothing is installed there; shells, commands and
// files go through Access, which is Kubernetes' own exec and port-forward.
//
// A container that doesn't exist, is somebody else's, or has SSH turned off
// refuses every key alike. As with any SSH server, who has a public key can
// find out whether it opens a container, without the private one: to hide
// that, clients would have to sign with each key that they have.
//
// A session runs the login shell (bash where the image has it, else /bin/sh)
// or a command through /bin/sh -c, in the directory where the container's own
// command was started. Of the client's environment come TERM, LANG, LC_* and
// a few more. Exit status 255 is the gateway's own: it says on stderr what
// stands in the way, such as a stopped container. An sftp session, which is
// what scp uses too, has the image's sftp-server behind it or, without one, the
// gateway's. Forwarded ports (-L) lead to the container itself, nowhere else,
// where ssh.portForwarding allows them.
//
// Sessions end within seconds of losing the key, the container or the right to
// forward, since everything is looked up again each second, in memory.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// Options are what the gateway works with. Container, Access, HostKeys and Log are required.
type Options struct {
	// Container finds a container that can be logged in to, from memory; false
	// when there is none or its SSH is off.
	Container func(schema.ContainerID) (Container, bool)
	Access    Access
	// HostKeys prove who the gateway is, one of each type; see LoadHostKeys.
	HostKeys []ssh.Signer
	Log      *slog.Logger
	Limits   Limits
	// Registerer gets the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Container is what decides over logins.
type Container struct {
	// Keys are those that open it.
	Keys           []*schema.SSHKey
	PortForwarding bool
}

// Limits keep strangers and single users from taking everything; 0 is the default.
type Limits struct {
	// Strangers are connections that have not logged in yet, 256. Past that the
	// oldest of the address with the most of them has to go.
	Strangers int
	// LoginTime is how long a stranger may take, 20 seconds.
	LoginTime time.Duration
	// Connections that have logged in, 4096, and those of one address, 256; of
	// IPv6 a /64 is one address.
	Connections, PerAddress int
	// Channels are the sessions and forwarded connections of one connection at
	// a time, 64, and those in all containers of one user, 128. A channel holds
	// up to 2 MiB of what the container doesn't read.
	Channels, PerUser int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Strangers:   cmp.Or(l.Strangers, 256),
		LoginTime:   cmp.Or(l.LoginTime, 20*time.Second),
		Connections: cmp.Or(l.Connections, 4096),
		PerAddress:  cmp.Or(l.PerAddress, 256),
		Channels:    cmp.Or(l.Channels, 64),
		PerUser:     cmp.Or(l.PerUser, 128),
	}
}

// pace is the timing of a connection; a test needn't wait as long as people do.
type pace struct {
	// look is how often each connection's right is looked up.
	look time.Duration
	// ping is how often the client is asked for a sign of life, silence how long it may take.
	ping, silence time.Duration
	// goodbye is how long sessions may go on after the server was told to end,
	// notice how long telling them why may take.
	goodbye, notice time.Duration
}

// Server is the gateway. It is safe for concurrent use.
type Server struct {
	options Options
	config  *ssh.ServerConfig
	crowd   *crowd
	metrics *metrics
	pace    pace
}

// New returns a Server; the error, of code Invalid, says which option is missing.
func New(o Options) (*Server, error) {
	if o.Container == nil || o.Access == nil || o.Log == nil {
		return nil, schema.Errorf(schema.Invalid, "the SSH gateway needs containers, access and a log")
	}
	if len(o.HostKeys) == 0 {
		return nil, schema.Errorf(schema.Invalid, "the SSH gateway needs a host key")
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{
		options: o,
		crowd:   newCrowd(o.Limits),
		metrics: newMetrics(o.Registerer),
		pace: pace{
			look: time.Second, ping: 30 * time.Second, silence: 45 * time.Second,
			goodbye: 3 * time.Second, notice: time.Second,
		},
	}
	s.config = s.serverConfig()
	return s, nil
}

// errGoingDown is why connections end when the server does.
var errGoingDown = errors.New("the server is going down; connect again")

// Serve accepts connections until ctx ends, closes l, tells open sessions, ends
// those that don't end by themselves within 3 seconds, and returns when Access
// has ended their commands.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	life, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	var open sync.WaitGroup
	err := s.accept(ctx, l, func(c net.Conn) {
		v := s.crowd.enter(c) // in the order in which they came
		open.Go(func() { _ = rescuer{s.options.Log}.survive(func() { s.welcome(life, v) }) })
	})
	ended := make(chan struct{})
	go func() { open.Wait(); close(ended) }()
	s.crowd.each(func(c *conn) { c.announce(errGoingDown) })
	select {
	case <-ended:
	case <-time.After(s.pace.goodbye):
	}
	cut(errGoingDown)
	s.crowd.dismissStrangers()
	<-ended
	return err
}

// accept hands connections over until ctx ends or l fails for good.
func (s *Server) accept(ctx context.Context, l net.Listener, to func(net.Conn)) error {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		c, err := l.Accept()
		if err == nil {
			wait = 0
			to(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
			return schema.Errorf(schema.Unavailable, "accept SSH connections at %s: %w", l.Addr(), err)
		}
		// Such as too many open files: it passes.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			s.options.Log.WarnContext(ctx, "ssh connection not accepted", "err", err)
		}
	}
	return nil
}

// HostKeys returns the public host keys, for known_hosts files.
func (s *Server) HostKeys() []ssh.PublicKey {
	keys := make([]ssh.PublicKey, len(s.options.HostKeys))
	for i, k := range s.options.HostKeys {
		keys[i] = k.PublicKey()
	}
	return keys
}
