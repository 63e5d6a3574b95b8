package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupRoot   = "/sys/fs/cgroup"
	cgroupPrefix = "devcluster-"
	// cgroupInit holds a node's own processes under cgroup v2, where a group has processes or children, never both.
	cgroupInit = "init"
)

// hierarchy is a mounted cgroup hierarchy: one of many under version 1, the only one under version 2.
type hierarchy struct {
	name string // controllers ("cpu,cpuacct") or "name=systemd", as mount wants them; empty for version 2
	root string // the mount point
	own  string // the folder of this process in it
}

// hierarchies are those with controllers, and systemd's: runc wants all of them.
func hierarchies() ([]hierarchy, error) {
	own, err := ownCgroups()
	if err != nil {
		return nil, err
	}
	if unified() {
		return []hierarchy{{root: cgroupRoot, own: filepath.Join(cgroupRoot, own[""])}}, nil
	}
	var all []hierarchy
	for name, path := range own {
		root := filepath.Join(cgroupRoot, strings.TrimPrefix(name, "name="))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); name == "" || err != nil {
			continue // version 2 beside version 1 has no controllers; others aren't mounted
		}
		folder := filepath.Join(root, path)
		if _, err := os.Stat(folder); err != nil {
			folder = root // a container's mount shows its own group as the root
		}
		all = append(all, hierarchy{name: name, root: root, own: folder})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy is mounted below %s", cgroupRoot)
	}
	slices.SortFunc(all, func(a, b hierarchy) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func unified() bool {
	var stat unix.Statfs_t
	return unix.Statfs(cgroupRoot, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC
}

// ownCgroups reads /proc/self/cgroup: the path in each hierarchy by its name.
func ownCgroups() (map[string]string, error) {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("read own cgroups: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	own := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if field := strings.SplitN(lines.Text(), ":", 3); len(field) == 3 {
			own[field[1]] = field[2]
		}
	}
	return own, lines.Err()
}

// cgroups are the groups of one node. Whoever holds their lock is alive: groups that nobody has locked
// are left over.
type cgroups struct {
	hierarchies []hierarchy
	name        string
	locks       []*os.File
}

// newCgroups makes the groups of a node: below our own under version 1, so that our limits hold for it, too;
// below the root under version 2, since a group with processes can't have children with controllers.
func newCgroups() (*cgroups, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	g := &cgroups{hierarchies: all, name: cgroupPrefix + strconv.Itoa(os.Getpid())}
	for _, h := range all {
		if err := g.make(h); err != nil {
			return nil, errors.Join(err, g.remove())
		}
	}
	return g, nil
}

func (g *cgroups) folder(h hierarchy) string {
	if h.name == "" {
		return filepath.Join(h.root, g.name)
	}
	return filepath.Join(h.own, g.name)
}

func (g *cgroups) make(h hierarchy) error {
	if h.name == "" {
		if err := enableControllers(h.root); err != nil {
			return err
		}
	}
	dir := g.folder(h)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // as all groups are
		return fmt.Errorf("make cgroup: %w", err)
	}
	lock, err := lockCgroup(dir)
	if err != nil {
		return fmt.Errorf("lock cgroup %s: %w", dir, err)
	}
	g.locks = append(g.locks, lock)
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if h.name != "" && strings.Contains(h.name, "cpuset") {
			if err := inherit(dir, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherit copies a setting of the parent: version 1 leaves a new cpuset empty, and nobody may enter it then.
func inherit(dir, file string) error {
	value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file)) //nolint:gosec // a group's own folder
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), value, 0) //nolint:gosec // a group's own folder
	}
	if err != nil {
		return fmt.Errorf("set up cgroup: %w", err)
	}
	return nil
}

// enableControllers hands down those that a kubelet wants to the children of a group of version 2.
func enableControllers(dir string) error {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers")) //nolint:gosec // a group's own folder
	if err != nil {
		return fmt.Errorf("read cgroup controllers: %w", err)
	}
	for controller := range strings.FieldsSeq(string(have)) {
		if !slices.Contains([]string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}, controller) {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("cgroup %s has processes, so its children can't have limits: move them into a child of it first (as the start script of a container with a container runtime does)", dir)
		}
		if err != nil {
			return fmt.Errorf("enable cgroup controller %s: %w", controller, err)
		}
	}
	return nil
}

// enter moves this process, and so whom it starts next, into the node's groups.
func (g *cgroups) enter() error {
	for _, h := range g.hierarchies {
		if err := moveTo(g.folder(h)); err != nil {
			return err
		}
	}
	return nil
}

// leave moves this process back to where it came from.
func (g *cgroups) leave() error {
	for _, h := range g.hierarchies {
		if err := moveTo(h.own); err != nil {
			return err
		}
	}
	return nil
}

func moveTo(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("enter cgroup: %w", err)
	}
	return nil
}

// remove takes the groups away, once the node's processes have gone.
func (g *cgroups) remove() error {
	var errs []error
	for _, h := range g.hierarchies {
		errs = append(errs, removeCgroup(g.folder(h)))
	}
	for _, lock := range g.locks {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}

// sweepCgroups removes what killed nodes left anywhere in the hierarchies.
func sweepCgroups() error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range all {
		err := filepath.WalkDir(h.root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() || !strings.HasPrefix(entry.Name(), cgroupPrefix) {
				return nil //nolint:nilerr // a group that has just gone is not ours
			}
			if lock, err := lockCgroup(path); err == nil {
				errs = append(errs, removeCgroup(path), lock.Close())
			}
			return fs.SkipDir
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func lockCgroup(dir string) (*os.File, error) {
	f, err := os.Open(dir) //nolint:gosec // a group's own folder
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// removeCgroup ends what still runs in a group and below, and removes it; the kernel takes a moment for that.
func removeCgroup(dir string) error {
	for deadline := time.Now().Add(grace); ; time.Sleep(pollEvery) {
		var folders []string
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		for _, folder := range slices.Backward(folders) {
			endProcesses(folder)
			if e := os.Remove(folder); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = e
			}
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func endProcesses(cgroup string) {
	data, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs")) //nolint:gosec // a group's own folder
	if err != nil {
		return
	}
	for field := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 && pid != os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL) // it may just have gone
		}
	}
}
