package mutation

import (
	"slices"

	"bayplan.dev/schema"
)

// Ingress is an entry of a container's ingress list; what is zero isn't written.
type Ingress struct {
	Port, TargetPort int64
	Host, Path       string
}

// meant fills in what an entry leaves out.
func (i Ingress) meant(host string) Ingress {
	if i.TargetPort == 0 {
		i.TargetPort = i.Port
	}
	if i.Host == "" {
		i.Host = host
	}
	if i.Path == "" {
		i.Path = "/"
	}
	return i
}

func (i Ingress) spec() map[string]any {
	entry := map[string]any{"port": i.Port}
	if i.TargetPort != 0 && i.TargetPort != i.Port {
		entry["targetPort"] = i.TargetPort
	}
	if i.Host != "" {
		entry["host"] = i.Host
	}
	if i.Path != "" {
		entry["path"] = i.Path
	}
	return entry
}

func ingressOf(entry any) Ingress {
	fields, _ := entry.(map[string]any)
	var i Ingress
	i.Port, _ = fields["port"].(int64)
	i.TargetPort, _ = fields["targetPort"].(int64)
	i.Host, _ = fields["host"].(string)
	i.Path, _ = fields["path"].(string)
	return i
}

// AddIngress adds a way in by host name; host is what an entry without one
// gets. One that is there already changes nothing; one that leads elsewhere is a Conflict.
func AddIngress(target Target, add Ingress, host string) Edit {
	return Change(target, func(spec map[string]any) (map[string]any, error) {
		entries, err := ingressList(spec)
		if err != nil {
			return nil, err
		}
		want := add.meant(host)
		for _, e := range entries {
			has := ingressOf(e).meant(host)
			if has == want {
				return nil, nil
			}
			has.TargetPort = want.TargetPort
			if has == want {
				return nil, schema.Errorf(schema.Conflict, "port %d of %s%s leads to another port already; delete that first", want.Port, want.Host, want.Path)
			}
		}
		return map[string]any{"ingress": append(slices.Clone(entries), add.spec())}, nil
	}, nil)
}

// RemoveIngress removes the entries of a port, where given those with the host
// and path only. NotFound when there is none.
func RemoveIngress(target Target, match Ingress, host string) Edit {
	return Change(target, func(spec map[string]any) (map[string]any, error) {
		entries, err := ingressList(spec)
		if err != nil {
			return nil, err
		}
		rest := slices.DeleteFunc(slices.Clone(entries), func(e any) bool {
			has := ingressOf(e).meant(host)
			return has.Port == match.Port && (match.Host == "" || match.Host == has.Host) && (match.Path == "" || match.Path == has.Path)
		})
		switch len(rest) {
		case len(entries):
			return nil, schema.Errorf(schema.NotFound, "%s %q has no such ingress of port %d", target.Noun(), target, match.Port)
		case 0:
			return map[string]any{"ingress": nil}, nil
		}
		return map[string]any{"ingress": rest}, nil
	}, nil)
}

func ingressList(spec map[string]any) ([]any, error) {
	entries, ok := spec["ingress"].([]any)
	if !ok && spec["ingress"] != nil {
		return nil, schema.Errorf(schema.Invalid, "spec.ingress is no list; mend it in the repository")
	}
	return entries, nil
}
