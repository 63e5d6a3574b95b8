package kube

import "strings"

// The objects that a space has, in the shape in which they are rendered.
const spaceText = `
apiVersion: v1
kind: Namespace
metadata:
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/enforce-version: v1.34
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: egress-dns}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
    to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: bayplan-workload}
automountServiceAccountToken: false
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec:
  hard: {pods: "10", limits.cpu: "4000m", limits.memory: 4096Mi, services.nodeports: "0"}
---
apiVersion: v1
kind: LimitRange
metadata: {name: defaults}
spec:
  limits:
  - type: Container
    default: {cpu: 500m, memory: 0.5Gi}
    defaultRequest: {cpu: "0.1", memory: 64Mi}
---
`

const claimText = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  labels: {bayplan.dev/volume: data}
  annotations: {bayplan.dev/persistent: "true"}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1024Mi}}
---
`

// containerTemplate are the objects of one container called NAME.
const containerTemplate = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: NAME-ingress
  labels: {bayplan.dev/container: NAME}
spec:
  podSelector: {matchLabels: {bayplan.dev/container: NAME}}
  policyTypes: [Ingress]
  ingress:
  - ports: [{protocol: TCP, port: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  labels: {bayplan.dev/container: NAME}
spec:
  replicas: 1
  revisionHistoryLimit: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {bayplan.dev/container: NAME}}
  template:
    metadata:
      labels: {bayplan.dev/container: NAME, app.kubernetes.io/managed-by: bayplan}
    spec:
      serviceAccountName: bayplan-workload
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: NAME
        image: registry.example/NAME:1
        env:
        - {name: B, value: "2"}
        - {name: A, value: "1"}
        ports: [{name: http, containerPort: 8080, protocol: TCP}]
        resources: {limits: {cpu: 1000m, memory: 0.125Gi}}
        readinessProbe: {httpGet: {path: /, port: http}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: false, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Service
metadata:
  name: NAME
  labels: {bayplan.dev/container: NAME}
spec:
  type: ClusterIP
  selector: {bayplan.dev/container: NAME}
  ports:
  - {name: http, port: 8080, protocol: TCP, targetPort: 8080}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: NAME
  labels: {bayplan.dev/container: NAME}
spec:
  rules:
  - host: NAME.apps.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: NAME, port: {number: 8080}}}
---
`

// containerText are the objects of one container.
func containerText(name string) string {
	return strings.ReplaceAll(containerTemplate, "NAME", name)
}
