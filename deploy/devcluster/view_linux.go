package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// selfExe is our binary, wherever mounts have hidden it.
	selfExe = "/proc/self/exe"
	// egressDNS is slirp4netns' forwarder to the host's resolver.
	egressDNS = "10.0.2.3"
)

// kernelTunables are what a kubelet sets on its machine, for all. It shall find them set.
func kernelTunables() map[string]string {
	return map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	}
}

// makeView mounts, in this mount namespace, what a node must have of its own; the host sees none of it.
func makeView(config machineConfig) error {
	folder, err := os.Open(config.Folder)
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // nothing was written
	// Where the host's names go: a link to a file in /run would lead nowhere below.
	resolver, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var m mounter
	m.mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	m.mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") // kubelets expect that
	m.mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	m.cgroups()
	m.mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	m.bind(fmt.Sprintf("/proc/self/fd/%d", folder.Fd()), nodeFolder)
	m.mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	m.mount("tmpfs", "/var/lib", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	m.bind(filepath.Join(nodeFolder, "log"), "/var/log")
	for name, value := range kernelTunables() {
		m.pin(filepath.Join("/proc/sys", name), value)
	}
	m.resolver(resolver, config.Egress)
	if m.err != nil {
		return fmt.Errorf("make the node's view: %w", m.err)
	}
	return nil
}

// mounter does nothing after its first error.
type mounter struct {
	err  error
	pins int
}

func (m *mounter) do(what string, f func() error) {
	if m.err != nil {
		return
	}
	if err := f(); err != nil {
		m.err = fmt.Errorf("%s: %w", what, err)
	}
}

func (m *mounter) mount(source, target, kind string, flags uintptr, data string) {
	m.do("mount "+target, func() error { return unix.Mount(source, target, kind, flags, data) })
}

// bind shows the folder source also at target.
func (m *mounter) bind(source, target string) {
	m.do("make "+target, func() error {
		return errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(target, 0o755)) //nolint:gosec // as /var/log is
	})
	m.mount(source, target, "", unix.MS_BIND|unix.MS_REC, "")
}

// pin shows a file with this value in place of a kernel setting.
func (m *mounter) pin(setting, value string) {
	m.pins++
	file := filepath.Join("/run", "setting-"+strconv.Itoa(m.pins))
	m.do("pin "+setting, func() error { return os.WriteFile(file, []byte(value+"\n"), 0o644) }) //nolint:gosec // as settings are
	m.mount(file, setting, "", unix.MS_BIND, "")
}

// cgroups mounts /sys, for the network's part of it, and in it the hierarchies: the node's groups are their roots.
func (m *mounter) cgroups() {
	var all []hierarchy
	m.do("find cgroups", func() (err error) {
		all, err = hierarchies()
		return err
	})
	v2 := unified()
	m.mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if v2 {
		m.mount("cgroup2", cgroupRoot, "cgroup2", flags, "")
		m.do("enter cgroup", func() error {
			own := filepath.Join(cgroupRoot, cgroupInit)
			return errors.Join(os.Mkdir(own, 0o755), moveTo(own), enableControllers(cgroupRoot)) //nolint:gosec // as all groups are
		})
		return
	}
	m.mount("tmpfs", cgroupRoot, "tmpfs", flags, "mode=0755")
	for _, h := range all {
		option := h.name
		if strings.HasPrefix(option, "name=") {
			option = "none," + option
		}
		m.do("make "+h.root, func() error { return os.MkdirAll(h.root, 0o755) }) //nolint:gosec // as all groups are
		m.mount("cgroup", h.root, "cgroup", flags, option)
	}
}

// resolver gives the node a resolv.conf without the host's search domains.
func (m *mounter) resolver(hosts string, egress bool) {
	text := ""
	if egress {
		text = "nameserver " + egressDNS + "\n"
	}
	file := filepath.Join(nodeFolder, "resolv.conf")
	m.do("write resolv.conf", func() error { return os.WriteFile(file, []byte(text), 0o644) }) //nolint:gosec // as it is everywhere
	hidden := slices.ContainsFunc([]string{"/run/", "/tmp/", "/var/lib/"}, func(dir string) bool { return strings.HasPrefix(hosts, dir) })
	switch {
	case hosts == "":
	case hidden:
		m.do("write resolv.conf", func() error {
			return errors.Join(os.MkdirAll(filepath.Dir(hosts), 0o755), os.WriteFile(hosts, []byte(text), 0o644)) //nolint:gosec // as it is everywhere
		})
	default:
		m.mount(file, hosts, "", unix.MS_BIND, "")
	}
}
