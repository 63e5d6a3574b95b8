package main

import (
	"path"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// runOptions are the flags that describe a container.
type runOptions struct {
	app                           *app
	image, name, space, preset    string
	memory, cpu, disk, dir, runAs string
	ttl                           string
	volumes, env, ports, ingress  []string
	ssh                           bool
}

func (o *runOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.image, "image", "", "the image to run")
	f.StringVar(&o.name, "name", "", "what the container is called (default the image's name)")
	f.StringVar(&o.space, "space", "", "the space that it lies in (default one of its own)")
	f.StringVar(&o.preset, "preset", "", "the platform's preset that it builds upon")
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "mount a volume of the space, as data:/var/lib/app or data:/etc/app:ro")
	f.StringVar(&o.memory, "memory", "", "the most memory, such as 512Mi")
	f.StringVar(&o.cpu, "cpu", "", "the most CPU, such as 2 or 500m")
	f.StringVar(&o.disk, "disk", "", "the most disk outside volumes, such as 2Gi")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable, as LOG_LEVEL=debug; LOG_LEVEL alone takes this shell's")
	f.StringVar(&o.dir, "dir", "", "the folder that the program starts in")
	f.StringArrayVarP(&o.ports, "port", "p", nil, "a port that the container listens on")
	f.StringArrayVar(&o.ingress, "ingress", nil, "make a port reachable by host name, as 80:8080")
	f.StringVar(&o.ttl, "ttl", "", "how long it lives, such as 8h")
	f.BoolVar(&o.ssh, "ssh", false, "let the owner's keys log in over SSH")
}

// body is the container that the flags and the words behind -- describe.
func (o *runOptions) body(cmd *cobra.Command, words []string) (webhook.NewContainer, error) {
	if o.image == "" && o.preset == "" {
		return webhook.NewContainer{}, usagef(cmd, "a container needs --image or --preset")
	}
	if o.name == "" {
		o.name = nameOfImage(o.image)
	}
	if err := schema.ValidateName("container", o.name); err != nil {
		return webhook.NewContainer{}, usagef(cmd, "%w; name it with --name", err)
	}
	spec, err := o.spec(words)
	if err != nil {
		return webhook.NewContainer{}, usagef(cmd, "%w", err)
	}
	return webhook.NewContainer{Name: o.name, Space: o.space, Spec: spec, TTL: o.ttl}, nil
}

// nameOfImage is "nginx" for docker.io/library/nginx:1.29-alpine, and empty for
// what is no image.
func nameOfImage(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return strings.NewReplacer("_", "-", ".", "-").Replace(path.Base(reference.Path(named)))
}

func (o *runOptions) spec(words []string) (map[string]any, error) {
	spec := map[string]any{}
	for field, value := range map[string]string{"image": o.image, "from": o.preset, "workingDir": o.dir} {
		if value != "" {
			spec[field] = value
		}
	}
	if len(words) > 0 {
		spec["command"] = words[:1]
	}
	if len(words) > 1 {
		spec["args"] = words[1:]
	}
	if o.ssh {
		spec["ssh"] = map[string]any{"enabled": true}
	}
	for _, add := range []func(map[string]any) error{o.addResources, o.addUser, o.addEnv, o.addVolumes, o.addPorts, o.addIngress} {
		if err := add(spec); err != nil {
			return nil, err
		}
	}
	return spec, nil
}

func (o *runOptions) addResources(spec map[string]any) error {
	limits := map[string]any{}
	for _, r := range []struct{ flag, field, value string }{
		{"memory", "memory", o.memory}, {"cpu", "cpu", o.cpu}, {"disk", "ephemeral-storage", o.disk},
	} {
		if r.value == "" {
			continue
		}
		q, err := resource.ParseQuantity(r.value)
		switch {
		case err != nil:
			return schema.Errorf(schema.Invalid, "--%s %s is no quantity; use 512Mi, 512M, 2Gi, or for CPU 2 and 500m", r.flag, r.value)
		case r.flag != "cpu" && strings.HasSuffix(r.value, "m"):
			n := strings.TrimSuffix(r.value, "m")
			return schema.Errorf(schema.Invalid, "--%s %s is %s thousandths of a byte; use %sMi (binary) or %sM (decimal)", r.flag, r.value, n, n, n)
		case q.Sign() <= 0:
			return schema.Errorf(schema.Invalid, "--%s %s must be more than nothing", r.flag, r.value)
		}
		limits[r.field] = r.value
	}
	if len(limits) > 0 {
		spec["resources"] = map[string]any{"limits": limits}
	}
	return nil
}

func (o *runOptions) addUser(spec map[string]any) error {
	if o.runAs == "" {
		return nil
	}
	context := map[string]any{}
	user, group, both := strings.Cut(o.runAs, ":")
	for field, text := range map[string]string{"runAsUser": user, "runAsGroup": group} {
		if field == "runAsGroup" && !both {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return schema.Errorf(schema.Invalid, "--user %s is too large", o.runAs)
		}
		context[field] = n
	}
	spec["securityContext"] = context
	return nil
}

func (o *runOptions) addEnv(spec map[string]any) error {
	var env []map[string]any
	for _, text := range o.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			if value, ok = o.app.lookupEnv(name); !ok {
				return schema.Errorf(schema.Invalid, "--env %s has no value, and this shell has no such variable", name)
			}
		}
		env = append(env, map[string]any{"name": name, "value": value})
	}
	return put(spec, "env", env)
}

func (o *runOptions) addVolumes(spec map[string]any) error {
	var mounts []map[string]any
	for _, text := range o.volumes {
		parts := strings.Split(text, ":")
		if len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[1], "/") || len(parts) == 3 && parts[2] != "ro" && parts[2] != "rw" {
			return schema.Errorf(schema.Invalid, "--volume %s must be NAME:/path or NAME:/path:ro; `bay volumes create` makes a volume", text)
		}
		mount := map[string]any{"name": parts[0], "mountPath": parts[1]}
		if len(parts) == 3 && parts[2] == "ro" {
			mount["readOnly"] = true
		}
		mounts = append(mounts, mount)
	}
	return put(spec, "volumes", mounts)
}

func (o *runOptions) addPorts(spec map[string]any) error {
	var ports []map[string]any
	for _, text := range o.ports {
		n, err := portNumber(text)
		if err != nil {
			return schema.Errorf(schema.Invalid, "--port: %w; --ingress makes one reachable from outside", err)
		}
		ports = append(ports, map[string]any{"containerPort": n})
	}
	return put(spec, "ports", ports)
}

func (o *runOptions) addIngress(spec map[string]any) error {
	var ingress []map[string]any
	for _, text := range o.ingress {
		port, target, err := portPair(text)
		if err != nil {
			return schema.Errorf(schema.Invalid, "--ingress %s: %w", text, err)
		}
		ingress = append(ingress, map[string]any{"port": port, "targetPort": target})
	}
	return put(spec, "ingress", ingress)
}

// put leaves out what is empty.
func put(spec map[string]any, field string, list []map[string]any) error {
	if len(list) > 0 {
		spec[field] = list
	}
	return nil
}
