package webhook

import (
	"encoding/json"
	"sync"

	"bayplan.dev/schema"
)

const frameDoc = "The first frame is `containers`, with the status of every container; then follow `container_status`, " +
	"`container_deleted` and `sync`. Every frame has a `seq`. A reader that can't keep up gets only the latest " +
	"status of each container, and is dropped with the code 1013 when it doesn't read at all: reconnect with `?since=`."

// rememberedFrames bounds the encoder's memory; readers that keep up are never
// further apart.
const rememberedFrames = 256

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

func (e *encoder) encode(f schema.Frame) ([]byte, error) {
	c := e.entry(frameKey{f.Type, f.Seq})
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
