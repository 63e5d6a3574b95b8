package gateway

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// What the ends of a connection agree on; all of it is young and strong.
var (
	keyExchanges  = []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519, ssh.KeyExchangeECDHP256}                              //nolint:gochecknoglobals // a table
	ciphers       = []string{ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES128CTR, ssh.CipherAES256CTR} //nolint:gochecknoglobals // a table
	macs          = []string{ssh.HMACSHA256ETM, ssh.HMACSHA512ETM, ssh.HMACSHA256, ssh.HMACSHA512}                                           //nolint:gochecknoglobals // a table
	keyAlgorithms = []string{                                                                                                                //nolint:gochecknoglobals // a table
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512,
	}
)

const serverVersion = "SSH-2.0-bayplan"

// maxKeys is how many keys a client may offer. People whose agent holds many
// must get in; who guesses keys gets nowhere anyway.
const maxKeys = 20

// The names under which a login is kept with the connection. What a client
// offered before counts for nothing (CVE-2024-45337).
const (
	permitContainer = "bayplan-container"
	permitKey       = "bayplan-key"
)

// errRefused is the answer to every login that fails, whatever the reason.
var errRefused = errors.New("login refused")

func (s *Server) serverConfig() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		Config:                  ssh.Config{KeyExchanges: keyExchanges, Ciphers: ciphers, MACs: macs},
		PublicKeyAuthAlgorithms: keyAlgorithms,
		PublicKeyCallback:       s.permit,
		MaxAuthTries:            maxKeys,
		ServerVersion:           serverVersion,
	}
	for _, k := range s.options.HostKeys {
		c.AddHostKey(k)
	}
	return c
}

// configOf is the configuration for one visitor, who becomes a member with the
// proof of a key that opens the container.
func (s *Server) configOf(v *visit) *ssh.ServerConfig {
	c := *s.config
	c.PreAuthConnCallback = func(ssh.ServerPreAuthConn) { s.crowd.advance(v) }
	c.VerifiedPublicKeyCallback = func(_ ssh.ConnMetadata, _ ssh.PublicKey, p *ssh.Permissions, _ string) (*ssh.Permissions, error) {
		if err := s.crowd.admit(v); err != nil {
			return nil, &ssh.BannerError{Err: err, Message: notice(err.Error())}
		}
		return p, nil
	}
	return &c
}

// permit says whether a key opens a container. It does the same work whether
// there is such a container or not.
func (s *Server) permit(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	who := login{key: lineOf(key)}
	id, err := schema.ParseContainerID(meta.User())
	if err == nil {
		who.id = id
	}
	if _, found := s.allowed(who); !found || err != nil {
		return nil, errRefused
	}
	return &ssh.Permissions{Extensions: map[string]string{permitContainer: id.String(), permitKey: who.key}}, nil
}

// login is who a connection belongs to: a key, and the container that it opened.
type login struct {
	id schema.ContainerID
	// key is the whole public key, as schema.SSHKey has it.
	key string
}

// loginOf returns what permit has granted.
func loginOf(p *ssh.Permissions) (login, error) {
	if p == nil {
		return login{}, errRefused
	}
	id, err := schema.ParseContainerID(p.Extensions[permitContainer])
	return login{id: id, key: p.Extensions[permitKey]}, err
}

// allowed looks up whether the key opens the container now.
func (s *Server) allowed(who login) (right, bool) {
	c, found := s.options.Container(who.id)
	i := slices.IndexFunc(c.Keys, func(k *schema.SSHKey) bool { return k.PublicKey == who.key })
	if !found || i < 0 {
		return right{}, false
	}
	return right{key: c.Keys[i], forward: c.PortForwarding}, true
}

// right is what a login may do at the moment.
type right struct {
	key     *schema.SSHKey
	forward bool
}

// lineOf writes a key as schema.SSHKey has it. A certificate is no key: its
// line equals none.
func lineOf(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}
