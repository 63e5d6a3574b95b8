//go:build !linux

package main

import "syscall"

// childAttr keeps a terminal's Ctrl-C from a child, which is ended in order instead.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
