package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
)

// nodeKind says what Pods run on.
type nodeKind string

const (
	simulatedKind nodeKind = "simulated"
	realKind      nodeKind = "real"
	// nodeVariable is the environment's word for --node, for whoever starts devcluster through another program.
	nodeVariable = "BAYPLAN_NODE"
	// realNode is the name of the real node: there is one in a cluster.
	realNode = "real-0"
	// nodeFolder is where a node sees DIR/node: a short path, as those of sockets must be.
	nodeFolder = "/run/node"
	// volumesFolder, in it, holds a folder for each claim.
	volumesFolder = "volumes"
)

// check says whether this machine can have such a node.
func (k nodeKind) check() error {
	switch k {
	case simulatedKind:
		return nil
	case realKind:
		return checkReal()
	default:
		return usageError{fmt.Sprintf("--node %s: say real or simulated", string(k))}
	}
}

// startNode starts the real node, and the registry that it pulls from.
func (c *cluster) startNode(ctx context.Context) error {
	if c.node != realKind {
		return nil
	}
	if err := os.MkdirAll(c.dir.path("node"), 0o700); err != nil {
		return fmt.Errorf("make the node's folder: %w", err)
	}
	port, err := c.startRegistry(ctx)
	if err != nil {
		return err
	}
	return c.supervisor.start(ctx, component{nodeName, []string{
		"--port=" + strconv.Itoa(c.port),
		"--registry-port=" + strconv.Itoa(port),
		"--log-level=" + string(c.level),
	}})
}

// simulatedNodes is how many nodes kwok plays: none beside a real one.
func (c *cluster) simulatedNodes() int {
	if c.node == realKind {
		return 0
	}
	return c.nodes
}
