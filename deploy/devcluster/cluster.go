package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
)

const (
	serviceRange = "10.43.0.0/16"
	serviceIP    = "10.43.0.1"
	// startLimit ends the wait for a cluster that neither comes up nor fails.
	startLimit = 90 * time.Second
	pollEvery  = 25 * time.Millisecond
)

// options say what kind of cluster to start.
type options struct {
	data  string
	port  int
	node  nodeKind
	nodes int // simulated ones
	fsync bool
	nice  int
	level logLevel
}

// cluster is a control plane with its nodes, from start to stop.
type cluster struct {
	options
	dir        dataDir
	lock       *os.File
	server     string
	progress   *progress
	supervisor *supervisor
	client     kubernetes.Interface
	admin      []byte // the kubeconfig
	registry   string // host:port

	stopRegistry func()
	stopStorage  context.CancelFunc
	storage      sync.WaitGroup
}

// startCluster returns when the cluster is usable: a Pod was scheduled and ran. What it started is
// stopped again when it returns an error, which then holds the last lines of the right log.
func startCluster(ctx context.Context, opts options, p *progress) (*cluster, error) {
	c := &cluster{options: opts, progress: p, stopStorage: func() {}, stopRegistry: func() {}}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.unlock())
	}
	if err := c.start(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// prepare claims the data directory and writes whatever the components read.
func (c *cluster) prepare(ctx context.Context) error {
	if err := c.node.check(); err != nil {
		return err
	}
	var err error
	if c.dir, err = openDataDir(c.data); err != nil {
		return err
	}
	if c.lock, err = c.dir.lock(); err != nil {
		return err
	}
	if err := c.dir.forgetProcesses(); err != nil {
		return err
	}
	port, err := c.dir.choosePort(ctx, portFile, c.port)
	if err != nil {
		return err
	}
	c.port = port
	c.server = fmt.Sprintf("https://127.0.0.1:%d", port)
	if c.supervisor, err = newSupervisor(c.dir, c.progress); err != nil {
		return err
	}
	c.supervisor.nice = c.nice
	if err := c.writePKI(); err != nil {
		return err
	}
	return errors.Join(
		c.dir.writeFrontProxy(),
		c.dir.writeFile("config/scheduler.yaml", []byte(schedulerConfig)),
		c.dir.writeFile("config/authentication.yaml", []byte(authenticationConfig)))
}

func (c *cluster) writePKI() error {
	ca, err := c.dir.loadAuthority()
	if err != nil {
		return err
	}
	if _, err := c.dir.loadKey("pki/sa.key"); err != nil {
		return err
	}
	server, err := ca.server(
		[]string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		[]net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)})
	if err != nil {
		return err
	}
	if err := errors.Join(c.dir.writeFile("pki/apiserver.crt", server.cert), c.dir.writeFile("pki/apiserver.key", server.key)); err != nil {
		return err
	}
	kubelets, err := ca.client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	if err := errors.Join(c.dir.writeFile("pki/kubelet-client.crt", kubelets.cert), c.dir.writeFile("pki/kubelet-client.key", kubelets.key)); err != nil {
		return err
	}
	for _, login := range []struct{ file, user, group string }{
		{"config/kube-controller-manager.kubeconfig", "system:kube-controller-manager", "system:authenticated"},
		{"config/kube-scheduler.kubeconfig", "system:kube-scheduler", "system:authenticated"},
		{"config/kwok.kubeconfig", "kwok", "system:masters"},
		{"config/node.kubeconfig", "devcluster", "system:masters"},
	} {
		data, err := c.kubeconfig(ca, login.user, login.group)
		if err != nil {
			return err
		}
		if err := c.dir.writeFile(login.file, data); err != nil {
			return err
		}
	}
	c.admin, err = c.kubeconfig(ca, "admin", "system:masters")
	return err
}

func (c *cluster) kubeconfig(ca *authority, user, group string) ([]byte, error) {
	client, err := ca.client(user, group)
	if err != nil {
		return nil, err
	}
	return kubeconfig(c.server, ca.certPEM, client)
}

func (c *cluster) start(ctx context.Context) error {
	verbosity, err := c.level.kubernetes()
	if err != nil {
		return err
	}
	config, err := restConfig(c.admin)
	if err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.supervisor.start(ctx, apiserverComponent(c.port, verbosity)); err != nil {
		return err
	}
	if err := c.supervisor.await(ctx, apiserverName, c.apiserverReady); err != nil {
		return err
	}
	if err := c.startControllers(ctx, verbosity); err != nil {
		return err
	}
	if err := errors.Join(c.createDefaults(ctx), c.createNodeServices(ctx)); err != nil {
		return err
	}
	if err := c.startNode(ctx); err != nil {
		return err
	}
	c.startStorage(ctx)
	for _, check := range c.checks() {
		if err := c.supervisor.await(ctx, check.what, check.ready); err != nil {
			return err
		}
	}
	return c.dir.writeFile("kubeconfig", c.admin)
}

func (c *cluster) startEtcd(ctx context.Context) error {
	ready := c.dir.path(etcdReady)
	if err := c.supervisor.start(ctx, etcdComponent(c.fsync, c.level)); err != nil {
		return err
	}
	return c.supervisor.await(ctx, etcdName, func(context.Context) error {
		_, err := os.Stat(ready)
		return err
	})
}

func (c *cluster) startControllers(ctx context.Context, verbosity string) error {
	components := []component{controllerManagerComponent(verbosity), schedulerComponent(verbosity)}
	if c.simulatedNodes() > 0 {
		components = append(components, kwokComponent(c.level))
	}
	for _, component := range components {
		if err := c.supervisor.start(ctx, component); err != nil {
			return err
		}
	}
	return nil
}

// startStorage plays the storage provisioner, a part of this process, until the cluster stops.
func (c *cluster) startStorage(ctx context.Context) {
	ctx, c.stopStorage = context.WithCancel(context.WithoutCancel(ctx))
	c.storage.Go(func() {
		newStorage(c).run(ctx)
	})
}

// stop ends everything, and lets go of the data directory.
func (c *cluster) stop() {
	c.stopStorage()
	c.storage.Wait()
	c.supervisor.stop()
	c.stopRegistry()
	if err := c.unlock(); err != nil {
		c.progress.printf("unlock data directory: %v", err)
	}
}

func (c *cluster) unlock() error {
	if c.lock == nil {
		return nil
	}
	return c.lock.Close()
}
