package webhook

import (
	"encoding/json"
	"sync"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

const frameDoc = "The first frame is `containers`, with the status of every container that is yours; then follow `container_status`, " +
	"`container_deleted` and `sync`. Every frame has a `seq`. A reader that can't keep up gets only the latest " +
	"status of each container, and is dropped with the code 1013 when it doesn't read at all: reconnect with `?since=`. A stream ends with the code 4401 " +
	"(as events: with an event `error`) when its token does or is taken back; over a WebSocket " +
	"`{\"type\":\"authorize\",\"data\":{\"token\":\"…\"}}` with a new token of the same actor keeps it open."

// rememberedFrames bounds the encoder's memory; readers that keep up are never
// further apart.
const rememberedFrames = 256

// view is empty where a frame looks the same to all who see it.
func view(kind schema.FrameType, c auth.Caller) schema.User {
	if seesAll(c) || kind != schema.FrameContainers && kind != schema.FrameSync {
		return ""
	}
	return c.User
}

// visibleFrame is what the caller sees of a frame; false when that is nothing.
func visibleFrame(c auth.Caller, f schema.Frame) (schema.Frame, bool) {
	if seesAll(c) {
		return f, true
	}
	switch data := f.Data.(type) {
	case []schema.ContainerStatus:
		own := []schema.ContainerStatus{}
		for _, s := range data {
			if c.Sees(s.ID.Space.User) {
				own = append(own, s)
			}
		}
		f.Data = own
		return f, true
	case schema.SyncStatus:
		f.Data = visibleSync(c, data)
		return f, true
	case schema.ContainerStatus:
		return f, c.Sees(data.ID.Space.User)
	case schema.ContainerDeleted:
		return f, c.Sees(data.ID.Space.User)
	case schema.Operation:
		return f, c.Sees(data.User)
	}
	return f, false
}

// encoder encodes each frame once, however many readers there are: thousands of
// readers that join at once share one snapshot instead of holding one each.
type encoder struct {
	mu       sync.Mutex
	snapshot *encoded
	deltas   *lru[frameKey, *encoded]
}

type frameKey struct {
	kind schema.FrameType
	seq  uint64
	// view tells apart the readers to whom the frame looks different.
	view schema.User
}

type encoded struct {
	key  frameKey
	once sync.Once
	data []byte
	err  error
}

func newEncoder() *encoder {
	return &encoder{deltas: newLRU[frameKey, *encoded](rememberedFrames)}
}

func (e *encoder) encode(f schema.Frame, reader auth.Caller) ([]byte, error) {
	c := e.entry(frameKey{f.Type, f.Seq, view(f.Type, reader)})
	c.once.Do(func() { c.data, c.err = json.Marshal(f) })
	return c.data, c.err
}

// entry remembers one snapshot only, since it may have megabytes.
func (e *encoder) entry(key frameKey) *encoded {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key.kind == schema.FrameContainers {
		if e.snapshot == nil || e.snapshot.key != key {
			e.snapshot = &encoded{key: key}
		}
		return e.snapshot
	}
	if c, ok := e.deltas.get(key); ok {
		return c
	}
	c := &encoded{key: key}
	e.deltas.put(key, c)
	return c
}
