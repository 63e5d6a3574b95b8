package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// cluster is a fresh control plane and the ways into it.
type cluster struct {
	dir string
	// config is the operator's; engineConfig is the file that engines get,
	// whose user is theirs alone, so that their requests can be counted.
	config       *rest.Config
	engineConfig string
	client       kubernetes.Interface
	dynamic      dynamic.Interface
	versions     map[string]string // of the bystander's objects
	end          func() error
}

// withCluster runs work on a fresh control plane that is gone afterwards.
func (b *bench) withCluster(ctx context.Context, work func(*cluster) error) error {
	c, err := b.startCluster(ctx)
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	return errors.Join(work(c), c.end(), os.RemoveAll(c.dir))
}

// paused runs work while the API server stands still, as one that is overloaded
// or out of reach does.
func (c *cluster) paused(work func() error) error {
	text, err := os.ReadFile(filepath.Join(c.dir, "run", "kube-apiserver.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the API server: %w", err)
	}
	return errors.Join(work(), syscall.Kill(pid, syscall.SIGCONT))
}

func (b *bench) startCluster(ctx context.Context) (*cluster, error) {
	dir, err := os.MkdirTemp(b.dir, "cluster-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	kubeconfig, err := c.start(ctx, b.devcluster, b.fsync)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(ctx, kubeconfig); err != nil {
		return nil, errors.Join(err, c.end())
	}
	return c, nil
}

// start starts the program and returns its kubeconfig.
func (c *cluster) start(ctx context.Context, program string, fsync bool) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "up", "--data", c.dir, "--port", "0", fmt.Sprintf("--fsync=%t", fsync)) //nolint:gosec // the program that -devcluster names
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	log, err := os.Create(filepath.Join(c.dir, "devcluster.log"))
	if err != nil {
		cancel()
		return "", err
	}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", errors.Join(err, log.Close())
	}
	c.end = func() error {
		cancel()
		err := cmd.Wait()
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(err, log.Close())
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n') // without a line it has ended, and its log says why
	for word := range strings.FieldsSeq(line) {
		if file, ok := strings.CutPrefix(word, "kubeconfig="); ok {
			return file, nil
		}
	}
	said, _ := os.ReadFile(log.Name())
	return "", errors.Join(fmt.Errorf("it ended before it was ready: %s", said), c.end())
}

// warmUp applies one space without Bayplan's labels: the first apply of each
// kind has the API server build that kind's schema, which would be on the clock
// of whoever comes first.
func (c *cluster) warmUp(ctx context.Context) error {
	dir := filepath.Join(c.dir, "warm")
	id := schema.ContainerID{Space: schema.SpaceID{User: "warm", Name: "up"}, Name: containerNames()[0]}
	if err := writeFile(filepath.Join(dir, fileOf(id)), document(id, firstImage, schema.StateStopped)); err != nil {
		return err
	}
	all, err := renderFleet(ctx, dir)
	if err != nil {
		return err
	}
	for _, space := range all {
		for i, o := range space {
			space[i] = o.DeepCopy()
			space[i].SetLabels(nil)
			space[i].SetAnnotations(nil)
		}
	}
	apply, err := prepareRaw(ctx, c.config, all, variant{engine: engineRaw, workers: 1})
	if err != nil {
		return err
	}
	return apply(ctx)
}

func (c *cluster) prepare(ctx context.Context, kubeconfig string) error {
	var err error
	if c.config, err = clientConfig(kubeconfig); err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfig(c.config); err != nil {
		return err
	}
	if err := c.addEngineUser(ctx); err != nil {
		return fmt.Errorf("add the engines' user: %w", err)
	}
	if err := c.addBystander(ctx); err != nil {
		return fmt.Errorf("add the bystander: %w", err)
	}
	if err := c.warmUp(ctx); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return nil
}
