//go:build e2e && linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hostState is what a node might change on its host, other clusters' links aside.
type hostState struct {
	Mounts, Rules string
	Links, Routes []string
	Settings      map[string]string
}

func lookAtHost(t *testing.T) hostState {
	t.Helper()
	read := func(file string) string {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(data)
	}
	s := hostState{Mounts: read("/proc/self/mounts"), Settings: map[string]string{}}
	for setting := range kernelTunables() {
		s.Settings[setting] = read(filepath.Join("/proc/sys", setting))
	}
	for _, setting := range []string{"net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max"} {
		s.Settings[setting] = read(filepath.Join("/proc/sys", setting))
	}
	rules, err := exec.Command("nft", "list", "ruleset").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.Rules = string(rules)
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Name, hostLinkPrefix) {
			continue
		}
		s.Links = append(s.Links, link.Attrs().Name)
		routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range routes {
			s.Routes = append(s.Routes, route.String())
		}
	}
	return s
}

// traces are what a running node has on its host.
type traces struct {
	link      string
	cgroups   []string
	processes []int
}

func tracesOf(t *testing.T, up *running) traces {
	t.Helper()
	node, err := up.client.CoreV1().Nodes().Get(t.Context(), realNode, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	number := net.ParseIP(node.Status.Addresses[0].Address).To4()[2]
	found := traces{link: network{int(number)}.hostLink()}
	if err := found.linkGone(); err == nil {
		t.Fatalf("there is no link %s", found.link)
	}
	name := cgroupPrefix + strconv.Itoa(up.pids(t)[nodeName])
	err = filepath.WalkDir(cgroupRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || !strings.Contains(path, name) {
			return nil
		}
		if entry.Name() == name {
			found.cgroups = append(found.cgroups, path)
		}
		data, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for field := range strings.FieldsSeq(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			found.processes = append(found.processes, pid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found.processes)
	found.processes = slices.Compact(found.processes)
	// The node's first process, the machine, containerd, kubelet and kube-proxy at least.
	if len(found.cgroups) == 0 || len(found.processes) < 5 {
		t.Fatalf("only cgroups %v with processes %v were found", found.cgroups, found.processes)
	}
	return found
}

func (f traces) gone() error {
	return errors.Join(f.processesGone(), f.linkGone(), f.cgroupsGone())
}

func (f traces) processesGone() error {
	for _, pid := range f.processes {
		if alive(pid) {
			return fmt.Errorf("process %d lives", pid)
		}
	}
	return nil
}

func (f traces) linkGone() error {
	_, err := netlink.LinkByName(f.link)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	return fmt.Errorf("link %s is here: %w", f.link, err)
}

func (f traces) cgroupsGone() error {
	for _, dir := range f.cgroups {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cgroup %s is here: %w", dir, err)
		}
	}
	return nil
}
