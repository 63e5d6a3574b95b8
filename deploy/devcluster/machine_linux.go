package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"k8s.io/component-base/cli"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const (
	containerdSocket = "/run/containerd/containerd.sock"
	egressLink       = "tap0"
)

// runNodeComponent is runComponent for the parts of a real node.
func runNodeComponent(name string, args []string, std stdio) int {
	switch name {
	case nodeName:
		return code(runHost(args), std)
	case firstName:
		return code(runFirst(), std)
	case machineName:
		return code(runMachine(args), std)
	case containerdName:
		return code(runContainerd(args), std)
	case dnsName:
		return code(runDNS(args), std)
	case policyName:
		return code(runPolicy(args), std)
	case metricsServerName:
		return runMetricsServer(args)
	case kubeletName:
		cmd := kubelet.NewKubeletCommand(context.Background())
		cmd.SetArgs(args)
		return cli.Run(cmd)
	case kubeProxyName:
		cmd := kubeproxy.NewProxyCommand()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	default:
		_, _ = fmt.Fprintf(std.err, "devcluster: unknown component %q\n", name)
		return exitUsage
	}
}

// runMachine runs what a node runs, inside of it, until it is told to end.
func runMachine(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var config machineConfig
	if err := json.Unmarshal([]byte(strings.Join(args, "")), &config); err != nil {
		return fmt.Errorf("read the node's configuration: %w", err)
	}
	dir := dataDir(nodeFolder)
	if err := errors.Join(dir.forgetProcesses(), os.MkdirAll(dir.path("logs"), 0o700), writeMachine(dir, config), setUpNetwork(ctx, config)); err != nil {
		return err
	}
	supervisor := &supervisor{dir: dir, binary: selfExe, progress: newProgress(os.Stderr), failed: make(chan error, 1)}
	defer supervisor.stop()
	verbosity, err := config.Level.kubernetes()
	if err != nil {
		return err
	}
	if err := supervisor.start(ctx, component{containerdName, []string{string(config.Level)}}); err != nil {
		return err
	}
	err = supervisor.await(ctx, containerdName, func(context.Context) error {
		_, err := os.Stat(containerdSocket)
		return err
	})
	if err != nil {
		return onOneLine(err, config)
	}
	for _, component := range []component{
		policyComponent(strings.Join(args, "")), kubeProxyComponent(verbosity), dnsComponent(config), kubeletComponent(config, verbosity),
		metricsComponent(config, verbosity),
	} {
		if err := supervisor.start(ctx, component); err != nil {
			return err
		}
	}
	select {
	case err := <-supervisor.failed:
		return onOneLine(err, config)
	case <-ctx.Done():
		return nil
	}
}

// onOneLine keeps the log lines of an error together in our own log, with the paths that the host knows.
func onOneLine(err error, config machineConfig) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return errors.New(strings.ReplaceAll(text, nodeFolder+"/", config.Folder+"/"))
}

// writeMachine writes what the parts read.
func writeMachine(dir dataDir, config machineConfig) error {
	snapshotter := "native"
	if overlayWorks(dir.path("containerd")) {
		snapshotter = "overlayfs"
	}
	plugins, err := cniPlugins()
	if err != nil {
		return err
	}
	for _, folder := range []string{"cni", "certs.d", "kubelet"} {
		if err := os.MkdirAll(dir.path(folder), 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{
		"containerd.toml":            containerdConfig(snapshotter, plugins),
		"cni/10-devcluster.conflist": cniConfig(config.Network),
		"kubelet.yaml":               kubeletConfig,
		"kube-proxy.yaml":            kubeProxyConfig(config.Network),
	}
	for name, text := range files {
		if err := dir.writeFile(name, []byte(text)); err != nil {
			return err
		}
	}
	return writeRegistryHosts(dir, config.Registry)
}

// overlayWorks tries whether folder's file system can be the upper one of an overlay; another overlay can't.
func overlayWorks(folder string) bool {
	test := folder + "-overlay-test"
	defer os.RemoveAll(test) //nolint:errcheck // it is empty
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll(test+"/"+name, 0o700); err != nil {
			return false
		}
	}
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", test)
	if err := unix.Mount("overlay", test+"/merged", "overlay", 0, options); err != nil {
		return false
	}
	return unix.Unmount(test+"/merged", 0) == nil
}

// setUpNetwork makes the node a router, which hides its Pods' addresses from the internet, and which lets no Pod
// through until the policies are known.
func setUpNetwork(ctx context.Context, config machineConfig) error {
	if err := forwardPackets(); err != nil {
		return err
	}
	rules := fmt.Sprintf(`table ip devcluster {
	chain out {
		type nat hook postrouting priority srcnat
		ip saddr %s oifname %s masquerade
	}
}
`, config.Network.podRange(), egressLink)
	if err := errors.Join(loadRules(ctx, rules), loadRules(ctx, view{podRange: config.Network.podRange(), host: config.Network.hostIP()}.rules())); err != nil {
		return fmt.Errorf("set up the node's network: %w", err)
	}
	return nil
}

// runContainerd becomes Debian's containerd.
func runContainerd(args []string) error {
	program, err := exec.LookPath("containerd")
	if err != nil {
		return err
	}
	level := strings.Join(args, "")
	return syscall.Exec(program, []string{program, "--config", nodeFolder + "/containerd.toml", "--log-level", level}, os.Environ()) //nolint:gosec // Debian's program
}
