package main

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	podaccess "bayplan.dev/access"
	"bayplan.dev/access/gateway"
	"bayplan.dev/schema"
)

// sshConfig is the SSH gateway.
type sshConfig struct {
	// Listen is its address; empty for none.
	Listen string `json:"listen"`
	// HostKeyFiles hold its private keys, one of each type. A file that isn't
	// there is made.
	HostKeyFiles []string `json:"hostKeyFiles"`
	// Host and Port are where it is reached from outside, where that isn't
	// where the API is, and at the port of Listen.
	Host string `json:"host"`
	Port int    `json:"port"`
	// MaxConnections that have logged in, and those of one address; 4096 and
	// 256 when 0. Behind a proxy that hides addresses both are one.
	MaxConnections           int `json:"maxConnections"`
	MaxConnectionsPerAddress int `json:"maxConnectionsPerAddress"`
}

// sshGateway is what the SSH gateway is made of.
type sshGateway struct {
	config     sshConfig
	fleet      func() *schema.Fleet
	access     *podaccess.Access
	log        *slog.Logger
	registerer prometheus.Registerer
}

// server makes the gateway, and its host key where there is none yet.
func (g sshGateway) server() (*gateway.Server, error) {
	if len(g.config.HostKeyFiles) == 0 {
		return nil, schema.Errorf(schema.Invalid, "configuration: ssh.hostKeyFiles must name a file that stays: clients remember the key in it")
	}
	keys, err := gateway.LoadHostKeys(g.config.HostKeyFiles...)
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Options{
		Container: g.container, Access: inside{g.access}, HostKeys: keys, Log: g.log, Registerer: g.registerer,
		Limits: gateway.Limits{Connections: g.config.MaxConnections, PerAddress: g.config.MaxConnectionsPerAddress},
	})
}

// container says who may log in. One whose own file is broken lets nobody in:
// which keys it names may be what is broken.
func (g sshGateway) container(id schema.ContainerID) (gateway.Container, bool) {
	fleet := g.fleet()
	if fleet == nil {
		return gateway.Container{}, false
	}
	c := fleet.Container(id)
	if c == nil || c.Spec.SSH == nil || !c.Spec.SSH.Enabled || broken(fleet, c) {
		return gateway.Container{}, false
	}
	found := gateway.Container{PortForwarding: c.Spec.SSH.PortForwarding}
	for _, k := range fleet.Keys[id.Space.User] {
		if len(c.Spec.SSH.Keys) == 0 || slices.Contains(c.Spec.SSH.Keys, k.Name) {
			found.Keys = append(found.Keys, k)
		}
	}
	return found, true
}

func broken(fleet *schema.Fleet, c *schema.Container) bool {
	return fleet.Spaces.Get(c.ID.Space).Frozen && slices.ContainsFunc(fleet.Findings.Errors(), func(f schema.Finding) bool {
		return f.File == c.Source.File
	})
}

// inside is access as the gateway sees it.
type inside struct{ *podaccess.Access }

// Exec implements gateway.Access.
func (i inside) Exec(ctx context.Context, id schema.ContainerID, e gateway.Exec) (gateway.Exit, error) {
	ended := make(chan struct{})
	defer close(ended)
	exit, err := i.Access.Exec(ctx, id, podaccess.Exec{
		Command: e.Command, Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr,
		TTY: e.TTY, Resize: relay(e.Resize, ended), Signals: e.Signals,
	})
	return gateway.Exit(exit), err
}

// Dial implements gateway.Access.
func (i inside) Dial(ctx context.Context, id schema.ContainerID, port int) (gateway.Conn, error) {
	return i.Access.Dial(ctx, id, port)
}

// Files implements gateway.Access.
func (i inside) Files(id schema.ContainerID) gateway.Files { return insideFiles{i.Access.Files(id)} }

// insideFiles are the files of a container as the gateway sees them.
type insideFiles struct{ *podaccess.Files }

// List implements gateway.Files.
func (f insideFiles) List(ctx context.Context, dir string) ([]gateway.FileInfo, error) {
	list, err := f.Files.List(ctx, dir)
	infos := make([]gateway.FileInfo, len(list))
	for i, info := range list {
		infos[i] = fileInfo(info)
	}
	return infos, err
}

// Stat implements gateway.Files.
func (f insideFiles) Stat(ctx context.Context, path string) (gateway.FileInfo, error) {
	info, err := f.Files.Stat(ctx, path)
	return fileInfo(info), err
}

// Follow implements gateway.Files.
func (f insideFiles) Follow(ctx context.Context, path string) (gateway.FileInfo, error) {
	info, err := f.Files.Follow(ctx, path)
	return fileInfo(info), err
}

func fileInfo(i podaccess.FileInfo) gateway.FileInfo {
	return gateway.FileInfo{
		Name: i.Name, Size: i.Size, Mode: i.Mode, Modified: i.Modified, UID: i.UID, GID: i.GID, Target: i.Target,
	}
}

// Read implements gateway.Files.
func (f insideFiles) Read(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	return f.Files.Read(ctx, path, offset, -1)
}

// Write implements gateway.Files.
func (f insideFiles) Write(ctx context.Context, path string, r io.Reader, o gateway.WriteOptions) error {
	return f.Files.Write(ctx, path, r, podaccess.WriteOptions{
		Mode: o.Mode, Offset: o.Offset, Truncate: o.Truncate, Exclusive: o.Exclusive,
	})
}

// Mkdir implements gateway.Files.
func (f insideFiles) Mkdir(ctx context.Context, path string, mode fs.FileMode) error {
	return f.Files.Mkdir(ctx, path, false, mode)
}

// Remove implements gateway.Files.
func (f insideFiles) Remove(ctx context.Context, path string) error {
	return f.Files.Remove(ctx, path, false)
}
