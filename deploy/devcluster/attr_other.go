//go:build !linux

package main

import "syscall"

// Elsewhere a killed devcluster leaves its components behind: there is no death signal.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func commandAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
