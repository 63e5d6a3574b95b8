package main

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig is complete in itself: it names no other file.
func kubeconfig(server string, ca []byte, client keyPair) ([]byte, error) {
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"devcluster": {Server: server, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"devcluster": {ClientCertificateData: client.cert, ClientKeyData: client.key}},
		Contexts:       map[string]*clientcmdapi.Context{"devcluster": {Cluster: "devcluster", AuthInfo: "devcluster"}},
		CurrentContext: "devcluster",
	}
	data, err := clientcmd.Write(config)
	if err != nil {
		return nil, fmt.Errorf("encode kubeconfig: %w", err)
	}
	return data, nil
}

// restConfig reads a kubeconfig for our own use, without client-side limits.
func restConfig(data []byte) (*rest.Config, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return nil, fmt.Errorf("decode kubeconfig: %w", err)
	}
	config.QPS = -1
	config.UserAgent = "devcluster"
	return config, nil
}
