package schema

import (
	"fmt"
	"testing"
)

// largeFleet is a repository of n containers: 10 a space, 10 spaces a user.
func largeFleet(n int) files {
	repository := files{}
	for i := range n {
		user, space, name := fmt.Sprintf("user%d", i/100), fmt.Sprintf("space%d", i/10%10), fmt.Sprintf("c%d", i%10)
		repository[fmt.Sprintf("users/%s/%s/%s.yaml", user, space, name)] = containerFile(name, i)
	}
	return repository
}

// containerFile is a container as users write them.
func containerFile(name string, i int) string {
	return fmt.Sprintf(`apiVersion: bayplan.dev/v1
kind: Container
metadata:
  name: %s
spec:
  image: ghcr.io/acme/app:1.%d
  command: [/app/server]
  args: ["--listen=:8080", "--shard=%d"]
  env:
    - name: LOG_LEVEL
      value: info
    - name: SHARD
      value: "%d"
    - name: DATABASE_URL
      valueFrom:
        secretKeyRef: {name: db, key: url}
  resources:
    requests: {cpu: 100m, memory: 128Mi}
    limits: {cpu: "1", memory: 256Mi}
  securityContext:
    runAsUser: 1000
  ports:
    - name: http
      containerPort: 8080
  ingress:
    - port: 443
      targetPort: 8080
  readinessProbe:
    httpGet: {path: /healthz, port: http}
    periodSeconds: 5
`, name, i, i, i)
}

func BenchmarkLoad(b *testing.B) {
	const n = 10_000
	repository := largeFleet(n)
	cold := snapshot(b, repository.fsys())
	// More snapshots than a loader remembers, each with one file changed.
	var changed []Snapshot
	for i := range 4 {
		repository["users/user7/space3/c1.yaml"] = containerFile("c1", n+i)
		changed = append(changed, snapshot(b, repository.fsys()))
	}
	run := func(b *testing.B, loader *Loader, s Snapshot) {
		b.Helper()
		fleet, err := loader.Load(b.Context(), s)
		if err != nil || len(fleet.Findings) > 0 || fleet.Spaces.Len() != n/10 {
			b.Fatalf("got error %v, %d spaces and findings\n%s", err, fleet.Spaces.Len(), fleet.Findings.Text())
		}
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			run(b, NewLoader(), cold)
		}
	})
	b.Run("one-changed", func(b *testing.B) {
		loader := NewLoader()
		run(b, loader, cold)
		for i := 0; b.Loop(); i++ {
			run(b, loader, changed[i%len(changed)])
		}
	})
	b.Run("from-folder", func(b *testing.B) {
		fsys := repository.fsys()
		for b.Loop() {
			snapshot(b, fsys)
		}
	})
}
