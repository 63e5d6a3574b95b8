package webhook

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

const defaultSSHPort = 22

// SSHAccess says who may log in to a container.
type SSHAccess struct {
	Enabled bool     `json:"enabled"`
	Keys    []string `json:"keys" nullable:"false" doc:"The names of the keys that open it; empty means all keys of the owner."`
	Command string   `json:"command,omitempty" doc:"The exact command; absent while one can't log in." example:"ssh -p 2222 alice--web@bay.example"`
	// The rest says where the command leads, for programs.
	Host     string       `json:"host,omitempty"`
	Port     int          `json:"port,omitempty"`
	User     string       `json:"user,omitempty" doc:"The user to log in as: the container's id."`
	HostKeys []SSHHostKey `json:"host_keys,omitempty" nullable:"false" doc:"By which the gateway is known; a client that pins them can't be led elsewhere."`
}

// SSHHostKey is a public key of the gateway.
type SSHHostKey struct {
	Type        string `json:"type" example:"ssh-ed25519"`
	Fingerprint string `json:"fingerprint" example:"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"`
	KnownHosts  string `json:"known_hosts" doc:"The line for a known_hosts file."`
}

// SSHGateway is where containers are logged in to.
type SSHGateway struct {
	// Host is its name from outside; the one that the API is called by when empty.
	Host string
	Port int
	// HostKeys are its public keys as authorized_keys has them: type, key, comment.
	HostKeys []string
}

// SSHAccessChange replaces who may log in.
type SSHAccessChange struct {
	Enabled *bool    `json:"enabled" nullable:"false"`
	Keys    []string `json:"keys,omitempty" nullable:"false" doc:"The names of the keys that open it; all keys of the owner when absent or empty."`
}

type sshOutput struct {
	Body SSHAccess
}

func (a *API) sshRoutes() {
	read(a, huma.Operation{
		Path: "/compute/containers/{id}/ssh", OperationID: "get-container-ssh",
		Summary: "Read who may log in to a container", Tags: []string{"containers"},
	}, a.getSSH)
}

func (a *API) sshWrites() {
	write(a, huma.Operation{
		Method: http.MethodPut, Path: "/compute/containers/{id}/ssh", OperationID: "set-container-ssh",
		Summary: "Say who may log in to a container", Tags: []string{"containers"},
		RequestBody: example(SSHAccessChange{Enabled: new(true), Keys: []string{"laptop"}}),
	}, a.setSSH)
}

type sshInput struct {
	ID   string `path:"id" example:"alice--web"`
	host string
}

// Resolve notes by which name the API is called.
func (in *sshInput) Resolve(ctx huma.Context) []error {
	in.host = ctx.Host()
	if name, _, err := net.SplitHostPort(in.host); err == nil {
		in.host = name
	}
	return nil
}

func (a *API) getSSH(ctx context.Context, fleet *schema.Fleet, in *sshInput) (*sshOutput, error) {
	c, err := a.container(ctx, fleet, in.ID)
	if err != nil {
		return nil, err
	}
	out := &sshOutput{Body: SSHAccess{Keys: []string{}}}
	if c.Spec == nil || c.Spec.SSH == nil {
		return out, nil
	}
	out.Body.Enabled = c.Spec.SSH.Enabled
	out.Body.Keys = append(out.Body.Keys, c.Spec.SSH.Keys...)
	if out.Body.Enabled && a.opts.SSH != nil {
		return out, a.opts.SSH.describe(&out.Body, c.ID, in.host)
	}
	return out, nil
}

// describe says how to log in to a container.
func (g *SSHGateway) describe(s *SSHAccess, id schema.ContainerID, called string) error {
	s.Host, s.Port, s.User = cmp.Or(g.Host, strings.Trim(called, "[]")), g.Port, id.String()
	s.Command = "ssh " + s.User + "@" + s.Host
	if s.Port != defaultSSHPort {
		s.Command = fmt.Sprintf("ssh -p %d %s@%s", s.Port, s.User, s.Host)
	}
	for _, line := range g.HostKeys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return schema.Errorf(schema.Internal, "host key of the gateway: %w", err)
		}
		s.HostKeys = append(s.HostKeys, SSHHostKey{
			Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key),
			KnownHosts: knownhosts.Line([]string{net.JoinHostPort(s.Host, strconv.Itoa(s.Port))}, key),
		})
	}
	return nil
}

// setSSH leaves portForwarding as it is: it isn't this route's to say.
func (a *API) setSSH(ctx context.Context, in *containerWrite, body *SSHAccessChange) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if body.Enabled == nil {
		return nil, invalidAt("/enabled", schema.Errorf(schema.Invalid, "enabled must be true or false"))
	}
	access := map[string]any{"enabled": *body.Enabled, "keys": nil}
	if len(body.Keys) > 0 {
		keys := make([]any, len(body.Keys))
		for i, k := range body.Keys {
			keys[i] = k
		}
		access["keys"] = keys
	}
	return &intent{target: target, action: actionUpdate, edit: mutation.Patch(target, map[string]any{"ssh": access}, in.expect())}, nil
}
