package kube

import (
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"bayplan.dev/schema"
)

// Config reads the way to a cluster from a context of a kubeconfig file; an
// empty context is the file's current one. Without a file it is that of the
// Pod that the process runs in.
func Config(file, context string) (*rest.Config, error) {
	if file == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, schema.Errorf(schema.Invalid, "no cluster: give --kubeconfig; %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: file},
		&clientcmd.ConfigOverrides{CurrentContext: context},
	).ClientConfig()
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "kubeconfig %s: %w", file, err)
	}
	return config, nil
}
