package kubetest

import (
	"os"
	"testing"
)

// Kubeconfig is the file that Config reads, for programs that are started.
func Kubeconfig(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv(envKubeconfig); path != "" {
		return path
	}
	Config(tb)
	return process.server.kubeconfig
}

// Kubeconfig is the file that describes the way to the server.
func (s *Server) Kubeconfig() string { return s.kubeconfig }

// Stop ends what Config has started, for a TestMain that doesn't call Main.
func Stop() {
	if process.server != nil {
		process.server.stop()
	}
}
