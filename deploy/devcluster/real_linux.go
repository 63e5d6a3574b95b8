package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

const installHint = "on Debian: apt-get install containerd runc containernetworking-plugins nftables iptables busybox-static slirp4netns"

// checkReal tells at once what a real node needs and this machine hasn't.
func checkReal() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("--node real needs root: it makes namespaces, cgroups and mounts; --node simulated doesn't")
	}
	var missing []string
	for _, program := range []string{"containerd", "runc", "nft", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("--node real needs %s; %s", strings.Join(missing, ", "), installHint)
	}
	_, err := cniPlugins()
	return err
}

// sweepNodes removes the cgroups that killed nodes left.
func sweepNodes() error {
	if os.Geteuid() != 0 {
		return nil // they are root's, as the nodes were
	}
	return sweepCgroups()
}
