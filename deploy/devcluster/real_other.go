//go:build !linux

package main

import (
	"errors"
	"fmt"
)

const installHint = "use Linux"

func checkReal() error {
	return errors.New("--node real needs Linux; use --node simulated")
}

func runNodeComponent(name string, _ []string, std stdio) int {
	_, _ = fmt.Fprintf(std.err, "devcluster: unknown component %q\n", name)
	return exitUsage
}

func sweepNodes() error { return nil }
