package main

import "syscall"

// childAttr keeps a terminal's Ctrl-C from a child, which is ended in order
// instead, and has the kernel end it if we are killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
