package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// machineConfig is all that the inside of a node is told.
type machineConfig struct {
	Network  network
	Registry string // host:port, on the node's and on the host's loopback
	Level    logLevel
	Folder   string // the node's folder, as the host sees it
	Egress   bool   // whether the node has a way to the internet
}

// runHost is the component "node": the life of a node as the host sees it. It makes the namespaces that the node
// lives in, lays the cable and forwards; the kernel takes all of it away with the node's first process.
func runHost(args []string) error {
	flags := flag.NewFlagSet(nodeName, flag.ContinueOnError)
	port := flags.Int("port", 0, "the API server's port")
	registry := flags.Int("registry-port", 0, "the registry's port")
	level := flags.String("log-level", "warn", "what the node's parts log")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cwd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	h := host{dir: dataDir(cwd), config: machineConfig{
		Registry: loopback(*registry),
		Level:    logLevel(*level),
		Folder:   dataDir(cwd).path("node"),
	}, api: loopback(*port)}
	if err := h.run(ctx); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

type host struct {
	dir    dataDir
	config machineConfig
	api    string
	first  *exec.Cmd // the node's first process
}

func (h *host) run(ctx context.Context) (err error) {
	if err := sweepCgroups(); err != nil {
		return fmt.Errorf("remove left cgroups: %w", err)
	}
	groups, err := newCgroups()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, groups.remove()) }()
	// What we start dies with our thread, which therefore must live as long as we do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	config, err := h.startFirst(groups)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- h.first.Wait() }()
	defer h.first.Process.Kill() //nolint:errcheck // it may have ended
	if h.config.Network, err = connect(h.first.Process.Pid); err != nil {
		return err
	}
	if err := h.serve(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(config).Encode(h.config); err != nil {
		return fmt.Errorf("tell the node its configuration: %w", err)
	}
	go h.registerMetrics(ctx)
	select {
	case err := <-ended:
		return errors.Join(errors.New("the node's first process ended"), err)
	case <-ctx.Done():
	}
	_ = h.first.Process.Signal(syscall.SIGTERM) // it may just have ended
	if err := <-ended; err != nil {
		return fmt.Errorf("end the node: %w", err)
	}
	return nil
}

// startFirst starts the node's first process in its groups and in namespaces of its own. That process waits for its configuration.
func (h *host) startFirst(groups *cgroups) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close() //nolint:errcheck // the child has its own
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	h.first = exec.Command(binary, "component", firstName) //nolint:gosec,noctx // our own binary; run ends it
	h.first.Stdin, h.first.Stdout, h.first.Stderr = read, os.Stderr, os.Stderr
	h.first.SysProcAttr = childAttr()
	h.first.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET |
		unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	if err := groups.enter(); err != nil {
		return nil, err
	}
	if err := errors.Join(h.first.Start(), groups.leave()); err != nil {
		return nil, fmt.Errorf("start the node's first process: %w", err)
	}
	return write, nil
}

// serve makes the API server and the registry reachable inside the node under the host's addresses, gives the node
// its credentials, and a way out if there is one.
func (h *host) serve(ctx context.Context) error {
	pid := h.first.Process.Pid
	_, port, err := net.SplitHostPort(h.api)
	if err != nil {
		return err
	}
	for from, to := range map[string]string{
		h.api:             h.api,
		h.config.Registry: h.config.Registry,
		net.JoinHostPort(h.config.Network.nodeIP().String(), port): h.api, // for Pods
	} {
		l, err := listenAt(ctx, pid, from)
		if err != nil {
			return err
		}
		go forward(ctx, l, to)
	}
	if err := errors.Join(h.writeCredentials(), h.publish(ctx, port)); err != nil {
		return err
	}
	if err := startEgress(pid); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "no way to the internet: %v\n", err)
	} else {
		h.config.Egress = true
	}
	return nil
}

// startEgress runs slirp4netns, a network in user space: it needs no routing and no firewall rule on the host, and goes
// with us. Without it, or where it can't run, the node reaches nothing but the host.
func startEgress(pid int) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()                                                                                                                        //nolint:errcheck // nothing was written
	cmd := exec.Command("slirp4netns", "--configure", "--disable-host-loopback", "--mtu=1500", "--ready-fd=3", strconv.Itoa(pid), egressLink) //nolint:gosec,noctx // Debian's program; it ends with us
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = childAttr()
	err = cmd.Start()
	_ = write.Close() // the child has its own
	if err != nil {
		return err
	}
	if n, _ := read.Read(make([]byte, 1)); n == 0 {
		return errors.Join(errors.New("slirp4netns ended at once"), cmd.Wait())
	}
	go cmd.Wait() //nolint:errcheck // it ends with the node
	return nil
}

// publish says where the node's Services are.
func (h *host) publish(ctx context.Context, port string) error {
	config, err := h.admin()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	return publish(ctx, client, h.config.Network.nodeIP(), int32(number))
}

// admin is the way to the API server on which all is allowed.
func (h *host) admin() (*rest.Config, error) {
	data, err := h.dir.readFile("config/node.kubeconfig")
	if err != nil {
		return nil, err
	}
	return restConfig(data)
}

// writeCredentials puts into the node's folder what its kubelet and the like need to be known, and to know the API server.
func (h *host) writeCredentials() error {
	ca, err := h.dir.loadAuthority()
	if err != nil {
		return err
	}
	serving, err := ca.server([]string{realNode}, []net.IP{h.config.Network.nodeIP()})
	if err != nil {
		return err
	}
	metrics, err := ca.server([]string{metricsHost}, []net.IP{h.config.Network.nodeIP()})
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"ca.crt": ca.certPEM, "kubelet.crt": serving.cert, "kubelet.key": serving.key,
		"metrics-server.crt": metrics.cert, "metrics-server.key": metrics.key,
	}
	for _, login := range []struct{ file, user, group string }{
		{"kubelet.kubeconfig", "system:node:" + realNode, "system:nodes"},
		{"kube-proxy.kubeconfig", "system:kube-proxy", "system:authenticated"},
		{"network-policy.kubeconfig", policyUser, "system:authenticated"},
		{"metrics-server.kubeconfig", metricsUser, "system:authenticated"},
	} {
		client, err := ca.client(login.user, login.group)
		if err != nil {
			return err
		}
		if files[login.file], err = kubeconfig("https://"+h.api, ca.certPEM, client); err != nil {
			return err
		}
	}
	node := dataDir(h.config.Folder)
	for name, data := range files {
		if err := node.writeFile(name, data); err != nil {
			return err
		}
	}
	return nil
}
