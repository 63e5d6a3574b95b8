package review

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"bayplan.dev/schema"
)

// platform compares what the operator says.
func (c *comparison) platform() {
	was, now := c.base.fleet, c.head.fleet
	if was.Platform.Digest == now.Platform.Digest && was.Overlay.Hash == now.Overlay.Hash {
		return
	}
	at := now.Platform.Source
	if was.Platform.Digest == now.Platform.Digest || at.File == "" {
		at = schema.Position{File: cmp.Or(at.File, was.Platform.Source.File, "platform.yaml")}
	}
	change := Change{Action: schema.ActionChange, Kind: schema.KindPlatform, Position: at}
	if was.Platform.Digest != now.Platform.Digest {
		change.Fields, change.MoreFields = fieldsAt(path{"spec"}, was.Platform.Spec, now.Platform.Spec, c.options)
	}
	change.Fields = append(change.Fields, overlayFields(was.Overlay, now.Overlay)...)
	c.changes = append(c.changes, change)
	c.plan.Summary.Change++
}

// overlayFields names the files of the operator's overlay that differ. What they
// change shows in the objects.
func overlayFields(was, now schema.Overlay) []Field {
	var fields []Field
	for _, name := range names(was.Files, now.Files) {
		before, had := was.Files[name]
		after, has := now.Files[name]
		if had && has && bytes.Equal(before, after) {
			continue
		}
		f := Field{Action: schema.ActionChange, Path: "platform/" + shown(name)}
		switch {
		case !had:
			f.Action = schema.ActionCreate
		case !has:
			f.Action = schema.ActionDelete
		}
		fields = append(fields, f)
	}
	return fields
}

// summarise tells with the platform's change what it does to everybody.
func (c *comparison) summarise() {
	i := slices.IndexFunc(c.changes, func(change Change) bool { return change.Kind == schema.KindPlatform })
	if i < 0 {
		return
	}
	change := &c.changes[i]
	for _, name := range slices.Sorted(maps.Keys(c.reach)) {
		r := c.reach[name]
		caution := warn(name, change.Position, fmt.Sprintf("%s: %s", plural(r.count, "time"), others(r)))
		caution.Count = r.count
		change.Cautions = append(change.Cautions, caution)
	}
}

func others(r *reach) string {
	text := some(r.first, reachShown)
	if more := r.count - len(r.first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// keys compares the SSH keys of every user. Those of a user without spaces
// open nothing yet and are told all the same.
func (c *comparison) keys() {
	was, now := c.base.fleet.Keys, c.head.fleet.Keys
	users := map[schema.User]bool{}
	for user := range was {
		users[user] = true
	}
	for user := range now {
		users[user] = true
	}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		if slices.Equal(was[user], now[user]) {
			continue // the loader has them from the same files
		}
		before, after := byName(was[user]), byName(now[user])
		for _, name := range names(before, after) {
			if change, differs := c.key(before[name], after[name]); differs {
				c.count(change)
				c.changes = append(c.changes, change)
			}
		}
	}
}

func byName(keys []*schema.SSHKey) map[string]*schema.SSHKey {
	of := make(map[string]*schema.SSHKey, len(keys))
	for _, k := range keys {
		of[k.Name] = k
	}
	return of
}

func (c *comparison) key(was, now *schema.SSHKey) (Change, bool) {
	k := cmp.Or(now, was)
	if was != nil && now != nil && was.PublicKey == now.PublicKey && was.Source.File == now.Source.File {
		return Change{}, false
	}
	change := Change{Action: schema.ActionChange, Kind: schema.KindSSHKey, ID: string(k.User) + "/" + k.Name, Position: k.Source}
	switch {
	case now == nil:
		change.Action = schema.ActionDelete
		return change, !c.head.fleet.Frozen
	case was == nil:
		change.Action = schema.ActionCreate
	}
	before := any(nil)
	if was != nil {
		before = was.Fingerprint
	}
	change.Fields, _ = fieldsAt(path{"spec", "publicKey"}, before, now.Fingerprint, c.options)
	if was == nil || was.PublicKey != now.PublicKey {
		change.Cautions = append(change.Cautions, warn(SSHKeyAdded, now.Source,
			fmt.Sprintf("the key %s opens %s", now.Fingerprint, plural(c.opens(now), "container"))))
	}
	return change, true
}

// opens counts the containers that the key lets its holder into.
func (c *comparison) opens(k *schema.SSHKey) int {
	n := 0
	for _, space := range c.head.spaces()[k.User] {
		for _, container := range space.Containers {
			ssh := container.Spec.SSH
			if ssh != nil && ssh.Enabled && (len(ssh.Keys) == 0 || slices.Contains(ssh.Keys, k.Name)) {
				n++
			}
		}
	}
	return n
}

const (
	// smallDelete is how many spaces or containers may always go at once.
	smallDelete = 5
	// deleteShare is the part of them that may, one in so many.
	deleteShare = 10
)

// massDelete tells of deletions that the server would hold back: more than
// max(5, 10 %) of the spaces or containers, or all spaces (promise 4).
func (c *comparison) massDelete() {
	if c.head.fleet.Frozen {
		return
	}
	spaces, containers := 0, 0
	hadContainers := 0
	for id, was := range c.base.fleet.Spaces.All() {
		hadContainers += len(was.Containers)
		now := c.head.fleet.Spaces.Get(id)
		if now == nil {
			spaces++
			containers += len(was.Containers)
			continue
		}
		if now.Frozen || was.Digest == now.Digest {
			continue
		}
		left := map[string]bool{}
		for _, container := range now.Containers {
			left[container.ID.Name] = true
		}
		for _, container := range was.Containers {
			if !left[container.ID.Name] {
				containers++
			}
		}
	}
	hadSpaces := c.base.fleet.Spaces.Len()
	all := c.head.fleet.Spaces.Len() == 0 && hadSpaces > 1
	if !all && spaces <= max(smallDelete, hadSpaces/deleteShare) && containers <= max(smallDelete, hadContainers/deleteShare) {
		return
	}
	c.note(warn(MassDelete, schema.Position{File: "users"}, fmt.Sprintf(
		"%d of %s and %d of %s would be deleted; that is held back until a commit ends with the trailer Allow-Mass-Delete: %d",
		spaces, plural(hadSpaces, "space"), containers, plural(hadContainers, "container"), max(spaces, containers))))
}
