package main

import (
	"fmt"
	"io"
	"strconv"

	etcdversion "go.etcd.io/etcd/api/v3/version"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// The components, in the order in which they start; they end in the reverse order.
const (
	etcdName              = "etcd"
	apiserverName         = "kube-apiserver"
	controllerManagerName = "kube-controller-manager"
	schedulerName         = "kube-scheduler"
	kwokName              = "kwok"
	// A real node: itself as the host sees it, its first process, and what runs in it.
	nodeName          = "node"
	firstName         = "node-first"
	machineName       = "node-machine"
	containerdName    = "containerd"
	kubeletName       = "kubelet"
	kubeProxyName     = "kube-proxy"
	dnsName           = "dns"
	metricsServerName = "metrics-server"
	policyName        = "network-policy"
)

// component is a child process: this binary again, as "devcluster component NAME ARGS", in the data directory.
type component struct {
	name string
	args []string
}

// runComponent is the whole life of a child.
func runComponent(args []string, std stdio) int {
	if len(args) == 0 {
		_, _ = fmt.Fprintln(std.err, "devcluster: component: which?")
		return exitUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case etcdName:
		return code(runEtcd(args), std)
	case kwokName:
		return code(runKwok(args), std)
	case apiserverName:
		cmd := apiserver.NewAPIServerCommand()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	case controllerManagerName:
		cmd := controllermanager.NewControllerManagerCommand()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	case schedulerName:
		cmd := scheduler.NewSchedulerCommand()
		cmd.SetArgs(args)
		return cli.Run(cmd)
	default:
		return runNodeComponent(name, args, std)
	}
}

func printVersions(w io.Writer) {
	_, _ = fmt.Fprintf(w, "kubernetes %s\netcd %s\nkwok %s\nmetrics-server %s\n", version.Get().GitVersion, etcdversion.Version, kwokVersion, metricsServerVersion)
}

// logLevel is how much the components write to their logs.
type logLevel string

// kubernetes is the level in the words of Kubernetes' components.
func (l logLevel) kubernetes() (string, error) {
	v, ok := map[logLevel]int{"error": 0, "warn": 0, "info": 2, "debug": 4}[l]
	if !ok {
		return "", usageError{fmt.Sprintf("--log-level %s: say error, warn, info or debug", l)}
	}
	return "--v=" + strconv.Itoa(v), nil
}

// The API server listens on loopback only, and reaches etcd through a socket in the data directory.
func apiserverComponent(port int, verbosity string) component {
	return component{apiserverName, []string{
		"--advertise-address=127.0.0.1",
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--endpoint-reconciler-type=none", // a loopback address may not be an endpoint of a Service
		"--etcd-servers=unix://etcd.sock",
		"--tls-cert-file=pki/apiserver.crt",
		"--tls-private-key-file=pki/apiserver.key",
		"--client-ca-file=pki/ca.crt",
		"--kubelet-certificate-authority=pki/ca.crt",
		"--kubelet-client-certificate=pki/kubelet-client.crt",
		"--kubelet-client-key=pki/kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--authentication-config=config/authentication.yaml",
		// The way to APIs that others serve: who calls is told in headers, by whom this certificate names.
		"--requestheader-client-ca-file=pki/front-proxy-ca.crt",
		"--requestheader-allowed-names=" + frontProxy,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=pki/front-proxy-client.crt",
		"--proxy-client-key-file=pki/front-proxy-client.key",
		"--enable-aggregator-routing=true", // the addresses of Services lead nowhere on the host
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", // Pod Security decides, as in other clusters
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=pki/sa.key",
		"--service-account-signing-key-file=pki/sa.key",
		"--service-cluster-ip-range=" + serviceRange,
		verbosity,
	}}
}

// The limits are raised because the API server is this machine's own: the defaults make 1,000 Deployments take minutes.
func controllerManagerComponent(verbosity string) component {
	return component{controllerManagerName, []string{
		"--kubeconfig=config/kube-controller-manager.kubeconfig",
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=pki/sa.key",
		"--root-ca-file=pki/ca.crt",
		"--cluster-signing-cert-file=pki/ca.crt",
		"--cluster-signing-key-file=pki/ca.key",
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		"--concurrent-deployment-syncs=50",
		"--concurrent-endpoint-syncs=50",
		"--concurrent-gc-syncs=50",
		"--concurrent-job-syncs=50",
		"--concurrent-namespace-syncs=50",
		"--concurrent-replicaset-syncs=50",
		"--concurrent-resource-quota-syncs=50",
		"--concurrent-service-endpoint-syncs=50",
		"--concurrent-serviceaccount-token-syncs=50",
		"--concurrent-statefulset-syncs=50",
		"--node-monitor-grace-period=5m", // heartbeats are rare
		verbosity,
	}}
}

func schedulerComponent(verbosity string) component {
	return component{schedulerName, []string{"--config=config/scheduler.yaml", "--secure-port=0", verbosity}}
}

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: config/kube-scheduler.kubeconfig
  qps: 2000
  burst: 4000
leaderElection:
  leaderElect: false
`

// Nobody is let in without a name, except to ask whether the server lives.
const authenticationConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
`
