package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"bayplan.dev/schema"
)

// How often a round does what, in rounds.
const (
	churnSpace    = 5
	churnDelete   = 3
	churnKey      = 7
	churnStranger = 10
	churnPlatform = 300
	// churnSpaces come and go; at any time half of them are there.
	churnSpaces = 20
	// One container of so many runs, so that Pods come and go too.
	churnRunning = 25
	// churnImages is how many containers a round moves to another image.
	churnImages = 3
	// churnSeed makes two runs do the same.
	churnSeed = 1
)

// churn changes a fleet as its users would, without ever making it larger.
type churn struct {
	*ground
	random        *rand.Rand
	rounds, edits int
	// without are the spaces whose second container is deleted just now.
	without map[int]bool
}

func newChurn(g *ground) *churn {
	return &churn{ground: g, random: rand.New(rand.NewPCG(churnSeed, churnSeed)), without: map[int]bool{}} //nolint:gosec // not for secrets
}

// round pushes one commit, and now and then a stranger edits something.
func (c *churn) round(ctx context.Context) error {
	if c.rounds%churnStranger == 0 {
		if _, err := strangerEdits(ctx, c.cluster, c.edits%c.spaces); err != nil {
			return err
		}
		c.edits++
	}
	if err := c.change(); err != nil {
		return err
	}
	_, err := c.clone.push(ctx, fmt.Sprintf("Round %d", c.rounds))
	return err
}

// change changes the files.
func (c *churn) change() error {
	n := c.rounds
	c.rounds++
	for range churnImages {
		if err := c.move(c.random.IntN(c.containers())); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		every int
		do    func(int) error
	}{{churnDelete, c.container}, {churnSpace, c.space}, {churnKey, c.key}, {churnPlatform, c.platform}} {
		if n%step.every == 0 {
			if err := step.do(n / step.every); err != nil {
				return err
			}
		}
	}
	return nil
}

// move gives the i-th container another image unless it is deleted.
func (c *churn) move(i int) error {
	names := containerNames()
	if i%len(names) != 0 && c.without[i/len(names)] {
		return nil
	}
	state := schema.StateStopped
	if i%churnRunning == 0 {
		state = schema.StateRunning
	}
	return c.clone.write(containerOf(i), fmt.Sprintf("registry.example.com/app:1.%d", c.rounds), state)
}

// container deletes the last container of a space, or puts it back.
func (c *churn) container(int) error {
	i := c.random.IntN(c.spaces)
	last := (i+1)*len(containerNames()) - 1
	if c.without[i] {
		delete(c.without, i)
		return c.move(last)
	}
	c.without[i] = true
	return os.Remove(filepath.Join(c.dir, fileOf(containerOf(last))))
}

// space adds a space and deletes the one that was added longest ago.
func (c *churn) space(n int) error {
	id := func(n int) schema.SpaceID {
		return schema.SpaceID{User: "visitor", Name: fmt.Sprintf("trip%02d", n%churnSpaces)}
	}
	for _, name := range containerNames() {
		if err := c.clone.write(schema.ContainerID{Space: id(n), Name: name}, firstImage, schema.StateStopped); err != nil {
			return err
		}
	}
	old := id(n + churnSpaces/2)
	return os.RemoveAll(filepath.Join(c.dir, "users", string(old.User), old.Name))
}

// key adds an SSH key, changes it, and deletes it again.
func (c *churn) key(n int) error {
	file := filepath.Join(c.dir, "users", string(spaceOf(0).User), "keys", "laptop.yaml")
	if n%3 == 2 {
		return os.Remove(file)
	}
	return writeFile(file, "apiVersion: bayplan.dev/v1\nkind: SSHKey\nmetadata:\n  name: laptop\nspec:\n  publicKey: "+publicKey(byte(n))+"\n")
}

// publicKey is the line that OpenSSH would write for a key made from the seed.
func publicKey(seed byte) string {
	const kind = "ssh-ed25519"
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed%128)), ed25519.SeedSize)))
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return ""
	}
	var blob []byte
	for _, part := range [][]byte{[]byte(kind), public} {
		blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(part))), part...)
	}
	return kind + " " + base64.StdEncoding.EncodeToString(blob)
}

// platform changes a rule that every space follows.
func (c *churn) platform(n int) error {
	return writeFile(filepath.Join(c.dir, "platform.yaml"), fmt.Sprintf(`apiVersion: bayplan.dev/v1
kind: Platform
metadata:
  name: platform
spec:
  network:
    blockedCIDRs: [198.41.%d.0/24]
`, n%256))
}
