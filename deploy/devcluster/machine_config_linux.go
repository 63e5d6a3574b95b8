package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// containerdConfig is of version 2, which containerd 1.6 to 2.x read.
func containerdConfig(snapshotter, plugins string) string {
	return fmt.Sprintf(`version = 2
root = "/run/node/containerd"
state = "/run/containerd"

[grpc]
address = %q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "%s/pause:1"
restrict_oom_score_adj = true # a container without CAP_SYS_RESOURCE may not lower it
disable_apparmor = true       # loading its profile would change the host
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = "/run/node/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = %q
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "/run/node/certs.d"
`, containerdSocket, imageRegistry, plugins, snapshotter)
}

// writeRegistryHosts tells containerd where our registry is, under both of its names.
func writeRegistryHosts(dir dataDir, registry string) error {
	for _, name := range []string{imageRegistry, registry} {
		folder := dir.path("certs.d", name)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		text := fmt.Sprintf("server = \"http://%[1]s\"\n\n[host.\"http://%[1]s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", registry)
		if err := dir.writeFile(filepath.Join("certs.d", name, "hosts.toml"), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// cniConfig gives each Pod a cable of its own to the node, which routes between them. With a bridge, Pods would
// reach each other past the rules for routed packets, which network policies are made of.
func cniConfig(n network) string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "devcluster",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, n.podRange())
}

// kubeletConfig evicts for nothing but memory, and deletes no images: the disk is the developer's. The period of
// the statistics of volumes is short, because tests wait for them.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /run/node/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: /run/node/kubelet.crt
tlsPrivateKeyFile: /run/node/kubelet.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [` + dnsServiceIP + `]
resolvConf: /run/node/resolv.conf
maxPods: 250
makeIPTablesUtilChains: false
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 500
kubeAPIBurst: 1000
volumeStatsAggPeriod: 10s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: 0%
  nodefs.inodesFree: 0%
  imagefs.available: 0%
`

func kubeletComponent(config machineConfig, verbosity string) component {
	return component{kubeletName, []string{
		"--config=/run/node/kubelet.yaml",
		"--kubeconfig=/run/node/kubelet.kubeconfig",
		"--root-dir=/run/node/kubelet",
		"--hostname-override=" + realNode,
		"--node-ip=" + config.Network.nodeIP().String(),
		verbosity,
	}}
}

// kubeProxyConfig leaves the host's connection tracking as it is.
func kubeProxyConfig(n network) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: %s
hostnameOverride: %s
clientConnection: {kubeconfig: /run/node/kube-proxy.kubeconfig, qps: 500, burst: 1000}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: ""
metricsBindAddress: ""
`, n.podRange(), realNode)
}

func kubeProxyComponent(verbosity string) component {
	return component{kubeProxyName, []string{"--config=/run/node/kube-proxy.yaml", verbosity}}
}

// cniPlugins is where the plugins are: Debian's folder, or everybody else's.
func cniPlugins() (string, error) {
	for _, folder := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		if _, err := os.Stat(filepath.Join(folder, "ptp")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("--node real needs CNI plugins; %s", installHint)
}
