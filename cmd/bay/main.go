// Command bay runs Bayplan and speaks to it: the server, the checks that need
// no server, and the client.
//
// Exit codes: 0 it worked, 1 it failed or there are findings, 2 wrong usage,
// 3 not observed in time, 4 not authenticated, 5 not found, 6 conflict.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
