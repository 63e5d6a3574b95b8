package mutation

import (
	"time"

	"bayplan.dev/schema"
)

// Expire has a container's file say what has become of it at its end: it is
// stopped, or gone. A file that says another end by now is left alone.
func Expire(id schema.ContainerID, at time.Time, policy schema.ExpirePolicy) Edit {
	target := Container(id)
	return func(t Tree) (Outcome, error) {
		found, hash, err := expected(t, target, nil)
		if err != nil {
			return Outcome{}, err
		}
		if text, ok := found.spec["expiresAt"].(string); ok {
			if ends, err := time.Parse(time.RFC3339, text); err == nil && !ends.Equal(at) {
				return Outcome{File: found.file, Hash: hash}, nil
			}
		}
		if policy == schema.ExpireDelete {
			return Delete(target, nil)(t)
		}
		return Patch(target, map[string]any{"state": string(schema.StateStopped)}, nil)(t)
	}
}
