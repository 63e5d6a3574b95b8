package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// startRegistry serves an OCI registry on loopback, for the real node and for whoever pushes to it, until the
// cluster stops, and puts the cluster's own images into it. It keeps its port, but not what was pushed: a node has its own copy.
func (c *cluster) startRegistry(ctx context.Context) (port int, err error) {
	port, err = c.dir.choosePort(ctx, registryPortFile, 0)
	if err != nil {
		return 0, err
	}
	c.registry = loopback(port)
	blobs := c.dir.path("registry")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return 0, fmt.Errorf("registry: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", c.registry)
	if err != nil {
		return 0, fmt.Errorf("registry: %w", err)
	}
	handler := registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	c.stopRegistry = func() { _ = server.Close() }
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			c.progress.printf("registry: %v", err)
		}
	}()
	images, err := ownImages()
	if err != nil {
		return 0, err
	}
	for _, image := range images {
		tag, err := name.NewTag(c.registry + "/" + image.name)
		if err != nil {
			return 0, fmt.Errorf("push %s: %w", image.name, err)
		}
		if err := remote.Write(tag, image.image, remote.WithContext(ctx)); err != nil {
			return 0, fmt.Errorf("push %s: %w", image.name, err)
		}
	}
	c.progress.ready("registry " + c.registry)
	c.progress.printf("images: %[1]s/%[2]s, %[1]s/%[3]s", imageRegistry, busyboxImage, noshellImage)
	return port, nil
}
