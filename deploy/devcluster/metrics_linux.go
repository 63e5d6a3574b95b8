package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/cli"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// metricsPatience bounds one question whether metrics-server serves.
const metricsPatience = 5 * time.Second

// metricsComponent measures as often as metrics-server can: tests wait for it.
func metricsComponent(config machineConfig, verbosity string) component {
	login := nodeFolder + "/metrics-server.kubeconfig"
	return component{metricsServerName, []string{
		"--kubeconfig=" + login,
		"--authentication-kubeconfig=" + login,
		"--authorization-kubeconfig=" + login,
		"--bind-address=" + config.Network.nodeIP().String(),
		"--secure-port=" + strconv.Itoa(metricsPort),
		"--tls-cert-file=" + nodeFolder + "/metrics-server.crt",
		"--tls-private-key-file=" + nodeFolder + "/metrics-server.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-use-node-status-port",
		"--kubelet-request-timeout=5s",
		"--metric-resolution=10s",
		verbosity,
	}}
}

// runMetricsServer ends by a signal, at once: there is nothing to lose, and to say goodbye would take a second.
func runMetricsServer(args []string) int {
	cmd := app.NewMetricsServerCommand(make(chan struct{}))
	cmd.SetArgs(args)
	return cli.Run(cmd)
}

// registerMetrics tells the API server of the metrics API as soon as it is served: see forgetMetrics. Nobody waits for that.
func (h *host) registerMetrics(ctx context.Context) {
	err := h.awaitMetrics(ctx)
	if err == nil {
		err = h.createMetricsAPI(ctx)
	}
	if err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintf(os.Stderr, "no metrics API: %v\n", err)
	}
}

// awaitMetrics asks whether metrics-server lives. It calls itself ready only once there is a Pod that it has measured.
func (h *host) awaitMetrics(ctx context.Context) error {
	roots := x509.NewCertPool()
	ca, err := h.dir.readFile("pki/ca.crt")
	if err != nil {
		return err
	}
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: metricsHost, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: metricsPatience}
	url := "https://" + net.JoinHostPort(h.config.Network.nodeIP().String(), strconv.Itoa(metricsPort)) + "/livez"
	tick := time.NewTicker(10 * pollEvery)
	defer tick.Stop()
	for !lives(ctx, client, url) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func lives(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

func (h *host) createMetricsAPI(ctx context.Context) error {
	config, err := h.admin()
	if err != nil {
		return err
	}
	client, err := aggregator.NewForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.ApiregistrationV1().APIServices().Create(ctx, metricsRegistration(config.CAData), metav1.CreateOptions{})
	return ignoreExisting(err)
}
