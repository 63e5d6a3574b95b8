package reconcile

import (
	"cmp"
	"slices"
	"time"

	"bayplan.dev/schema"
)

// recently is how long a finished operation is told to readers that begin anew.
const recently = time.Minute

// publishOperation takes the newest state of an operation.
func (h *Hub) publishOperation(o schema.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	c := &change{seq: h.seq, operation: &o}
	if e := h.operations[o.ID]; e != nil {
		e.Value = c
		h.changes.MoveToBack(e)
	} else {
		h.operations[o.ID] = h.changes.PushBack(c)
	}
	h.wake()
}

// forgetOperation drops an operation. Readers that haven't heard its last
// state begin anew.
func (h *Hub) forgetOperation(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.operations[id]
	if e == nil {
		return
	}
	h.floor = max(h.floor, held(e).seq)
	h.changes.Remove(e)
	delete(h.operations, id)
}

// unfinished lists the operations under way and those that have just ended,
// oldest first. The caller holds mu.
func (h *Hub) unfinished() []schema.Operation {
	var operations []schema.Operation
	for _, e := range h.operations {
		if o := *held(e).operation; !o.State.Terminal() || time.Since(o.Updated) < recently {
			operations = append(operations, o)
		}
	}
	slices.SortFunc(operations, func(a, b schema.Operation) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return operations
}
