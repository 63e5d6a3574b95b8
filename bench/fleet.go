package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

const (
	spacesPerUser = 100
	// maxSpaces keeps the folder users/ within what a fleet may hold.
	maxSpaces = 20000
	// firstImage is what containers run before a commit changes it.
	firstImage = "registry.example.com/app:1.0"
)

// containerNames are the containers of every space.
func containerNames() []string { return []string{"api", "web"} }

// spaceOf is the i-th space of a fleet.
func spaceOf(i int) schema.SpaceID {
	return schema.SpaceID{User: schema.User(fmt.Sprintf("user%03d", i/spacesPerUser)), Name: fmt.Sprintf("shop%02d", i%spacesPerUser)}
}

// containerOf is the i-th container of a fleet.
func containerOf(i int) schema.ContainerID {
	names := containerNames()
	return schema.ContainerID{Space: spaceOf(i / len(names)), Name: names[i%len(names)]}
}

// fileOf is where the container's document is.
func fileOf(id schema.ContainerID) string {
	return filepath.Join("users", string(id.Space.User), id.Space.Name, id.Name+".yaml")
}

// document is a container as users write them.
func document(id schema.ContainerID, image string, state schema.State) string {
	return fmt.Sprintf(`apiVersion: bayplan.dev/v1
kind: Container
metadata:
  name: %s
spec:
  image: %s
  state: %s
  args: [serve, --listen=:8080]
  env:
    - name: GREETING
      value: hello
  resources:
    requests: {cpu: 50m, memory: 64Mi}
    limits: {cpu: 500m, memory: 256Mi}
  securityContext:
    runAsUser: 1000
  ports:
    - name: http
      containerPort: 8080
  ingress:
    - port: 80
      targetPort: 8080
  readinessProbe:
    httpGet: {path: /, port: http}
`, id.Name, image, state)
}

// writeFleet writes a fleet of so many spaces.
func writeFleet(dir string, spaces int, state schema.State) error {
	for i := range spaces * len(containerNames()) {
		id := containerOf(i)
		if err := writeFile(filepath.Join(dir, fileOf(id)), document(id, firstImage, state)); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o600)
}

// set is what one fleet renders to: the spaces in order, each with its objects
// in the order in which they are applied.
type set [][]*unstructured.Unstructured

func (s set) objects() int {
	n := 0
	for _, space := range s {
		n += len(space)
	}
	return n
}

// renderFleet renders the files of a folder as Bayplan does.
func renderFleet(ctx context.Context, dir string) (set, error) {
	fleet, err := loadFleet(ctx, dir)
	if err != nil {
		return nil, err
	}
	renderer := render.New()
	var all set
	for _, id := range fleet.SpaceIDs() {
		objects, err := renderer.Space(fleet, id)
		if err != nil {
			return nil, err
		}
		all = append(all, objects)
	}
	return all, nil
}

func loadFleet(ctx context.Context, dir string) (*schema.Fleet, error) {
	snapshot, err := schema.FromFS(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	fleet, err := schema.NewLoader().Load(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	if len(fleet.Findings) > 0 {
		return nil, fmt.Errorf("the fleet has findings:\n%s", strings.TrimSpace(fleet.Findings.Text()))
	}
	return fleet, nil
}

// loadAndRender renders everything side by side and keeps nothing, as the
// workers of Bayplan do.
func loadAndRender(ctx context.Context, dir string) error {
	fleet, err := loadFleet(ctx, dir)
	if err != nil {
		return err
	}
	renderer := render.New()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, id := range fleet.SpaceIDs() {
		group.Go(func() error {
			_, err := renderer.Space(fleet, id)
			return errors.Join(err, ctx.Err())
		})
	}
	return group.Wait()
}
