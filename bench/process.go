package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticks is USER_HZ, the unit of /proc/PID/stat, which is 100 on every Linux that Go runs on.
const ticks = 100

// peakEvery is how often the memory of a short process is looked up.
const peakEvery = 5 * time.Millisecond

// usage is what a running process has used.
type usage struct {
	cpu time.Duration
	// children is the CPU time of children that have ended and been waited for.
	children     time.Duration
	rss, peakRSS float64 // MiB
}

// usageOf reads /proc of a process.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 15 {
		return usage{}, errors.New("/proc/PID/stat is short")
	}
	var u usage
	for i, into := range []*time.Duration{&u.cpu, &u.cpu, &u.children, &u.children} {
		n, err := strconv.Atoi(fields[11+i])
		if err != nil {
			return usage{}, err
		}
		*into += time.Duration(n) * time.Second / ticks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	u.rss, u.peakRSS = statusMiB(status, "VmRSS:"), statusMiB(status, "VmHWM:")
	return u, nil
}

// componentCPU is the CPU time that each process of the control plane has used.
func (c *cluster) componentCPU() (map[string]time.Duration, error) {
	files, err := filepath.Glob(filepath.Join(c.dir, "run", "*.pid"))
	if err != nil {
		return nil, err
	}
	used := map[string]time.Duration{}
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // below the run's own folder
		if err != nil {
			return nil, err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		used[strings.TrimSuffix(filepath.Base(file), ".pid")] = u.cpu
	}
	return used, nil
}

// socketMiB is what the kernel holds for all TCP connections of the machine.
func socketMiB() (float64, error) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if i := slices.Index(fields, "mem"); len(fields) > 0 && fields[0] == "TCP:" && i >= 0 && i+1 < len(fields) {
			pages, err := strconv.ParseFloat(fields[i+1], 64)
			return pages * float64(os.Getpagesize()) / mebi, err
		}
	}
	return 0, errors.New("/proc/net/sockstat has no TCP")
}

func statusMiB(status []byte, field string) float64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64) // the kernel writes a number
			return kib / 1024
		}
	}
	return 0
}

func cpuSeconds(u *syscall.Rusage) float64 {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// runMeasured runs the command from its start to its end. The peak is looked up
// while it runs: the one that the kernel tells of at the end (ru_maxrss) begins
// with that of the process that started it.
func runMeasured(cmd *exec.Cmd) (cost, error) {
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	ended, peak := make(chan struct{}), make(chan float64, 1)
	go func() { peak <- watchPeak(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	c := cost{Seconds: time.Since(start).Seconds()}
	close(ended)
	c.PeakMiB = <-peak
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.CPUSeconds = cpuSeconds(u)
	}
	return c, err
}

// watchPeak returns the last peak that a process had before it ended.
func watchPeak(pid int, ended <-chan struct{}) float64 {
	tick := time.NewTicker(peakEvery)
	defer tick.Stop()
	var peak float64
	for {
		select {
		case <-tick.C:
			if u, err := usageOf(pid); err == nil {
				peak = max(peak, u.peakRSS)
			}
		case <-ended:
			return peak
		}
	}
}

// loadAverage is how busy the machine was during the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func describeMachine(o options) string {
	memory := "?"
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		memory = fmt.Sprintf("%.0f GiB", statusMiB(text, "MemTotal:")/1024)
	}
	disk := "etcd waits for the disk"
	if !o.fsync {
		disk = "etcd doesn't wait for the disk"
	}
	return fmt.Sprintf("%d cores, %s, shared by the API server, etcd, the controllers and the engine; %s; load average before: %s",
		runtime.NumCPU(), memory, disk, loadAverage())
}
