package main

import (
	"context"
	"io"
	"log/slog"

	"k8s.io/client-go/rest"

	podaccess "bayplan.dev/access"
	"bayplan.dev/access/gateway"
	"bayplan.dev/reconcile/kube"
	"bayplan.dev/schema"
	"bayplan.dev/webhook/into"
)

// newAccess is the way into the containers of a cluster.
func newAccess(config *rest.Config, cluster *kube.Cluster, log *slog.Logger) (*podaccess.Access, error) {
	return podaccess.New(podaccess.Options{Config: config, Log: log, Locate: func(id schema.ContainerID) (podaccess.Target, error) {
		l, err := cluster.Locate(id)
		return podaccess.Target(l), err
	}})
}

// door is access as the API sees it.
type door struct {
	*podaccess.Access
	locate func(schema.ContainerID) (kube.Location, error)
}

// Ready implements into.Access.
func (d door) Ready(id schema.ContainerID) error {
	l, err := d.locate(id)
	if err == nil && l.Down != "" {
		err = schema.Errorf(schema.Conflict, "container %s isn't running: %s", id, l.Down)
	}
	return err
}

// Exec implements into.Access.
func (d door) Exec(ctx context.Context, id schema.ContainerID, e into.Exec) (into.Exit, error) {
	ended := make(chan struct{})
	defer close(ended)
	exit, err := d.Access.Exec(ctx, id, podaccess.Exec{
		Command: e.Command, Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr,
		TTY: e.TTY, Resize: relay(e.Resize, ended), Signals: e.Signals,
	})
	return into.Exit(exit), err
}

// relay passes on what comes, until ended is closed. A size that is there
// already is there already in the result, too.
func relay[S into.Size | gateway.Size](from <-chan S, ended <-chan struct{}) <-chan podaccess.Size {
	if from == nil {
		return nil
	}
	to := make(chan podaccess.Size, 1)
	select {
	case s := <-from:
		to <- podaccess.Size(s)
	default:
	}
	go func() {
		for {
			select {
			case <-ended:
				return
			case s := <-from:
				select {
				case <-ended:
					return
				case to <- podaccess.Size(s):
				}
			}
		}
	}()
	return to
}

// Logs implements into.Access.
func (d door) Logs(ctx context.Context, id schema.ContainerID, l into.Logs) (io.ReadCloser, error) {
	return d.Access.Logs(ctx, id, podaccess.Logs(l))
}

// Dial implements into.Access.
func (d door) Dial(ctx context.Context, id schema.ContainerID, port int) (into.Conn, error) {
	return d.Access.Dial(ctx, id, port)
}

// Metrics implements into.Access.
func (d door) Metrics(ctx context.Context, id schema.ContainerID) (into.Metrics, error) {
	m, err := d.Access.Metrics(ctx, id)
	out := into.Metrics{At: m.At}
	if m.CPU != nil {
		out.CPUNanocores = &m.CPU.UsageNanocores
	}
	if m.Memory != nil {
		out.Memory = &into.Memory{WorkingSet: m.Memory.WorkingSetBytes, Limit: m.Memory.LimitBytes}
	}
	if m.Storage != nil {
		out.Storage = &into.Storage{Ephemeral: m.Storage.EphemeralBytes}
		for _, v := range m.Storage.Volumes {
			out.Storage.Volumes = append(out.Storage.Volumes, into.VolumeUse{Name: v.Claim, Used: v.UsedBytes, Capacity: v.CapacityBytes})
		}
	}
	if m.Network != nil {
		out.Network = &into.Network{Received: m.Network.ReceivedBytes, Sent: m.Network.SentBytes}
	}
	return out, err
}

// Events implements into.Access.
func (d door) Events(ctx context.Context, id schema.ContainerID) ([]into.Event, error) {
	events, err := d.Access.Events(ctx, id)
	out := make([]into.Event, len(events))
	for i, e := range events {
		out[i] = into.Event(e)
	}
	return out, err
}

// Files implements into.Access.
func (d door) Files(id schema.ContainerID) into.Files { return doorFiles{d.Access.Files(id)} }

// doorFiles are the files of a container as the API sees them.
type doorFiles struct{ *podaccess.Files }

// List implements into.Files.
func (f doorFiles) List(ctx context.Context, dir string) ([]into.FileInfo, error) {
	list, err := f.Files.List(ctx, dir)
	out := make([]into.FileInfo, len(list))
	for i := range list {
		out[i] = doorFile(list[i])
	}
	return out, err
}

// Stat implements into.Files.
func (f doorFiles) Stat(ctx context.Context, path string) (into.FileInfo, error) {
	info, err := f.Files.Stat(ctx, path)
	return doorFile(info), err
}

// Follow implements into.Files.
func (f doorFiles) Follow(ctx context.Context, path string) (into.FileInfo, error) {
	info, err := f.Files.Follow(ctx, path)
	return doorFile(info), err
}

func doorFile(i podaccess.FileInfo) into.FileInfo {
	return into.FileInfo{
		Name: i.Name, Path: i.Path, Type: into.FileType(i.Type), Size: i.Size, Mode: i.Mode,
		Modified: i.Modified, UID: i.UID, GID: i.GID, Target: i.Target,
	}
}

// Read implements into.Files.
func (f doorFiles) Read(ctx context.Context, path string) (into.Content, error) {
	r, err := f.Files.Read(ctx, path, 0, -1)
	if err != nil {
		return nil, err
	}
	if c, ok := r.(*podaccess.Content); ok {
		return c, nil
	}
	return sizeless{r}, nil
}

// sizeless is content of which nobody knows how much it is.
type sizeless struct{ io.ReadCloser }

// Size implements into.Content.
func (sizeless) Size() int64 { return -1 }

// Write implements into.Files.
func (f doorFiles) Write(ctx context.Context, path string, from io.Reader, o into.WriteOptions) error {
	return f.Files.Write(ctx, path, from, podaccess.WriteOptions{Mode: o.Mode, Truncate: true, Exclusive: o.Exclusive})
}
