package kube

import (
	"strings"

	"bayplan.dev/schema"
)

// fleet is the name that tells one fleet's objects from those of others in the
// same cluster; empty where there is one.
type fleet string

// owner is the owner annotation of the space's objects: "<fleet>/<user>--<space>".
func (f fleet) owner(id schema.SpaceID) string { return f.prefix() + id.String() }

// space is what owner was made of, and empty for another fleet's annotation.
func (f fleet) space(owner string) string {
	space, ours := strings.CutPrefix(owner, f.prefix())
	if !ours || strings.Contains(space, "/") {
		return ""
	}
	return space
}

func (f fleet) prefix() string {
	if f == "" {
		return ""
	}
	return string(f) + "/"
}

// named is the name of the fleet's own among equals: its state, its lease.
func (f fleet) named(base string) string {
	if f == "" {
		return base
	}
	return base + "-" + string(f)
}
