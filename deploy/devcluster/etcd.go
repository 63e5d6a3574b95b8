package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// etcdReady is the file by which etcd says that it serves.
	etcdReady = "run/etcd.ready"
	etcdQuota = 4 << 30
)

func etcdComponent(fsync bool, level logLevel) component {
	return component{etcdName, []string{fmt.Sprintf("--fsync=%t", fsync), "--log-level=" + string(level)}}
}

// runEtcd serves the data directory, in which it was started, until it is told to end.
func runEtcd(args []string) error {
	flags := flag.NewFlagSet(etcdName, flag.ContinueOnError)
	fsync := flags.Bool("fsync", true, "wait for the disk")
	level := flags.String("log-level", "warn", "etcd's own log level")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	server, err := embed.StartEtcd(etcdConfig(*fsync, *level))
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
	if err := os.WriteFile(etcdReady, nil, 0o600); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer os.Remove(etcdReady) //nolint:errcheck // it may never have been made
	select {
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// etcdConfig is a single member that listens on sockets only; their paths are relative, because a
// socket's path may not be longer than 107 bytes. The API server compacts the history itself.
func etcdConfig(fsync bool, level string) *embed.Config {
	config := embed.NewConfig()
	config.Name = "devcluster"
	config.Dir = etcdName
	config.LogLevel = level
	config.LogOutputs = []string{"stderr"}
	config.UnsafeNoFsync = !fsync
	// Without it every request is logged as a slow one: NewConfig leaves it at zero.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	config.QuotaBackendBytes = etcdQuota
	config.MaxWalFiles = 1
	config.MaxSnapFiles = 1
	config.EnableGRPCGateway = false
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Host: "etcd.sock"}}
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: "etcd-peer.sock"}}
	// A member must have a name for others; there are none, and nobody listens there.
	nobody := []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	config.AdvertiseClientUrls = nobody
	config.AdvertisePeerUrls = nobody
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	return config
}
