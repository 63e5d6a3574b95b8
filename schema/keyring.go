package schema

import (
	"fmt"
	"slices"
	"strings"
)

// keyRing is what a user's key files say.
type keyRing struct {
	keys   []*ringKey // valid ones, by name
	broken map[string]bool
	issues []issue
}

type ringKey struct {
	key *SSHKey
	doc *document
}

// newKeyRing reads the key documents of a user.
func newKeyRing(user User, files []*file) *keyRing {
	ring := &keyRing{broken: map[string]bool{}}
	names := map[string]*document{}
	blobs := map[string]*document{}
	for _, f := range files {
		for _, d := range f.docs {
			switch {
			case d.kind != KindSSHKey:
				ring.issues = append(ring.issues, misplaced(d, fmt.Sprintf("only documents of kind SSHKey lie in %s", keysFolder)))
			case d.name == "":
			case names[d.name] != nil:
				ring.issues = append(ring.issues, duplicate(d, names[d.name], "SSH key "+d.name))
			default:
				names[d.name] = d
				ring.add(user, d, blobs)
			}
		}
	}
	slices.SortFunc(ring.keys, func(a, b *ringKey) int { return strings.Compare(a.key.Name, b.key.Name) })
	return ring
}

func (ring *keyRing) add(user User, d *document, blobs map[string]*document) {
	if d.broken() {
		ring.broken[d.name] = true
		return
	}
	line, fingerprint, err := ParsePublicKey(d.key.PublicKey)
	if err != nil {
		ring.broken[d.name] = true // reported when the file was read
		return
	}
	if first := blobs[line]; first != nil {
		ring.issues = append(ring.issues, issue{
			doc: d, path: fieldPath{"spec", "publicKey"},
			Finding: Finding{
				Severity: SeverityWarning, Code: "same-key",
				Message: fmt.Sprintf("is the same key as %s", first.name), Help: "remove one of them",
				Related: []Position{first.source},
			},
		})
	} else {
		blobs[line] = d
	}
	ring.keys = append(ring.keys, &ringKey{doc: d, key: &SSHKey{
		User: user, Name: d.name, PublicKey: line, Fingerprint: fingerprint, Source: d.source, Hash: d.file.hash,
	}})
}

// has says whether a container may name the key.
func (ring *keyRing) has(name string) bool {
	return slices.ContainsFunc(ring.keys, func(k *ringKey) bool { return k.key.Name == name })
}

// sharedKeys finds keys that several users have. The result is by user and
// name, for all but the user whose name comes first, and says where that one is.
func sharedKeys(users []*userTree) map[User]map[string]*SSHKey {
	shared := map[User]map[string]*SSHKey{}
	first := map[string]*SSHKey{}
	for _, u := range users {
		for _, k := range u.ring.keys {
			holder := first[k.key.PublicKey]
			switch {
			case holder == nil:
				first[k.key.PublicKey] = k.key
			case holder.User != u.user:
				if shared[u.user] == nil {
					shared[u.user] = map[string]*SSHKey{}
				}
				shared[u.user][k.key.Name] = holder
			}
		}
	}
	return shared
}
