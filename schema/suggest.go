package schema

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// synonyms say what people of other platforms mean, by kind of document and
// what they wrote, in lower case without _ and -.
var synonyms = map[Kind]map[string]string{ //nolint:gochecknoglobals // a table
	KindContainer: { //nolint:gosec // advice about secrets, not secrets
		"entrypoint":       "use command (Compose's entrypoint is Kubernetes' command)",
		"cmd":              "use args",
		"startcommand":     "use command",
		"dockercommand":    "use command",
		"environment":      "use env, a list of {name: …, value: …}",
		"envvars":          "use env, a list of {name: …, value: …}",
		"variables":        "use env, a list of {name: …, value: …}",
		"envfrom":          "use env with valueFrom.secretKeyRef for each variable",
		"secrets":          "use env with valueFrom.secretKeyRef",
		"secretenv":        "use env with valueFrom.secretKeyRef",
		"hostname":         "use ingress[].host",
		"domain":           "use ingress[].host",
		"route":            "use ingress[].host",
		"routes":           "use ingress[].host",
		"url":              "use ingress[].host",
		"memorymb":         "use resources.limits.memory, such as 512Mi",
		"memlimit":         "use resources.limits.memory, such as 512Mi",
		"memory":           "use resources.limits.memory, such as 512Mi",
		"ram":              "use resources.limits.memory, such as 512Mi",
		"cpu":              `use resources.limits.cpu, such as "1"`,
		"cpus":             `use resources.limits.cpu, such as "1"`,
		"disk":             "use resources.limits.ephemeral-storage, or a Volume for what must last",
		"storage":          "use resources.limits.ephemeral-storage, or a Volume for what must last",
		"ttl":              "use expiresAt, a point in time",
		"expires":          "use expiresAt, a point in time",
		"replicas":         "remove it: a container is always one replica",
		"instances":        "remove it: a container is always one replica",
		"numinstances":     "remove it: a container is always one replica",
		"numreplicas":      "remove it: a container is always one replica",
		"scale":            "remove it: a container is always one replica",
		"healthcheck":      "use readinessProbe and livenessProbe",
		"healthcheckpath":  "use readinessProbe.httpGet.path",
		"checks":           "use readinessProbe and livenessProbe",
		"restart":          "remove it: containers are always restarted; state: Stopped stops one",
		"restartpolicy":    "remove it: containers are always restarted; state: Stopped stops one",
		"workdir":          "use workingDir",
		"user":             "use securityContext.runAsUser",
		"uid":              "use securityContext.runAsUser",
		"mounts":           "use volumes",
		"volumemounts":     "use volumes, a list of {name: …, mountPath: …}",
		"authorizedkeys":   "use ssh.keys",
		"sshkeys":          "use ssh.keys",
		"suspend":          "use state: Stopped",
		"suspended":        "use state: Stopped",
		"stopped":          "use state: Stopped",
		"paused":           "use state: Stopped",
		"enabled":          "use state: Running or Stopped",
		"operatingmode":    "use state: Running or Stopped",
		"preset":           "use from",
		"template":         "use from, or write the template's fields into spec",
		"extends":          "use from",
		"containers":       "write each container as a document of its own",
		"initcontainers":   "remove it: a container has no init containers; prepare things in its command",
		"privileged":       "remove it: containers have no privileges over their node",
		"capabilities":     "remove it: containers have no capabilities",
		"hostnetwork":      "remove it: containers don't see their node's network",
		"hostport":         "use ingress to be reached from outside",
		"hostpath":         "use a Volume",
		"networks":         "remove it: the containers of a space share a network",
		"dependson":        "remove it: use a startupProbe and try again until the other answers",
		"build":            "build the image elsewhere and name it with image",
		"labels":           "remove it: Bayplan sets the labels",
		"annotations":      "remove it: Bayplan sets the annotations",
		"serviceaccount":   "remove it: containers don't speak to the cluster",
		"port":             "use containerPort in ports, port and targetPort in ingress",
		"internalport":     "use targetPort in ingress",
		"publishedport":    "use port in ingress",
		"nodeselector":     "use placement.nodeSelector",
		"pullpolicy":       "use imagePullPolicy",
		"readonly":         "use readOnly in volumes, securityContext.readOnlyRootFilesystem for the rest",
		"tolerations":      "use placement; the platform lists what may be asked for",
		"affinity":         "use placement; the platform lists what may be asked for",
		"pathtype":         "remove it: path is always a prefix",
		"securitycontexts": "use securityContext",
	},
	KindVolume: {
		"capacity":     "use size",
		"storage":      "use size",
		"resources":    "use size",
		"sizegb":       "use size with a unit, such as 5Gi",
		"storageclass": "use storageClassName",
		"keep":         "use persistent: true",
		"mountpath":    "write mountPath where the container names the volume",
		"accessmode":   "use accessModes, a list",
	},
	KindSSHKey: {
		"key":           "use publicKey",
		"pubkey":        "use publicKey",
		"authorizedkey": "use publicKey",
		"privatekey":    "remove it, and replace the key: a private key must never be in a repository",
	},
	KindSpace: {
		"containers": "write each container as a document of its own in the space's folder",
		"quota":      "remove it: quotas are the platform's word, in platform.yaml",
		"limits":     "remove it: quotas are the platform's word, in platform.yaml",
	},
	KindPlatform: {
		"basedomain":     "use domain",
		"quota":          "use limits",
		"quotas":         "use limits",
		"ingressclass":   "use ingress.className",
		"allowedimages":  "use registries",
		"storageclasses": "remove it: volumes name their class themselves",
	},
}

// owners are what people write to say whose a document is.
var owners = map[string]bool{ //nolint:gochecknoglobals // a table
	"namespace": true, "owner": true, "user": true, "tenant": true, "space": true, "project": true, "team": true,
}

// unknown reports a field that doesn't exist, and what may have been meant.
func (r *reader) unknown(f *field, key *yaml.Node, path fieldPath) {
	r.page.report(key, Finding{
		Code: "unknown-field", Path: path.with(key.Value).String(),
		Message: r.page.show(key) + " is not a field",
		Help:    r.suggest(f, key.Value, path),
	})
}

func (r *reader) suggest(f *field, written string, path fieldPath) string {
	var names []string
	for _, c := range f.fields {
		if squash(c.name) == squash(written) {
			return "did you mean " + c.name + "?"
		}
		names = append(names, c.name)
	}
	plain := squash(written)
	if owners[plain] && (len(path) == 0 || path[0] == "metadata") {
		return "remove it: the path owns a document, users/<user>/<space>"
	}
	if len(path) == 0 && plain == "name" {
		return "use metadata.name"
	}
	if help := synonyms[r.kind][plain]; help != "" {
		return help
	}
	if near := nearest(written, names); near != "" {
		return "did you mean " + near + "?"
	}
	for _, name := range names {
		if len(plain) >= 3 && strings.HasPrefix(squash(name), plain) {
			return "did you mean " + name + "?"
		}
	}
	if place := elsewhere(r.defs.kinds[r.kind], written, ""); place != "" {
		return "it belongs elsewhere: " + place
	}
	return "use one of " + strings.Join(names, ", ")
}

// squash makes spellings equal that people confuse.
func squash(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// elsewhere finds a field of the name anywhere in a kind.
func elsewhere(f *field, name, path string) string {
	switch f.shape {
	case shapeStruct:
		for _, c := range f.fields {
			below := strings.TrimPrefix(path+"."+c.name, ".")
			if squash(c.name) == squash(name) {
				return below
			}
			if found := elsewhere(c, name, below); found != "" {
				return found
			}
		}
	case shapeList:
		return elsewhere(f.elem, name, path+"[]")
	case shapeMap:
		return elsewhere(f.elem, name, path+".*")
	case shapeScalar:
	}
	return ""
}

// nearest returns the candidate that differs from s by a slip of the keyboard, or "".
func nearest(s string, candidates []string) string {
	best, limit := "", max(1, len(s)/3)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c)); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of
// neighbours between two texts.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
