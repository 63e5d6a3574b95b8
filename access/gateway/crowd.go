package gateway

import (
	"container/list"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"bayplan.dev/schema"
)

// crowd counts connections by where they come from. Strangers, who have not
// logged in, are dropped oldest first from the address that has most of them:
// who floods the gateway pushes out itself.
type crowd struct {
	limits Limits

	mu        sync.Mutex
	strangers map[netip.Prefix]*list.List // of *visit, oldest first
	waiting   int
	members   map[netip.Prefix]int
	joined    int
	inside    map[*conn]struct{}
	channels  map[schema.User]int
}

// visit is one connection's place in the crowd.
type visit struct {
	conn    net.Conn
	address netip.Prefix
	place   *list.Element // while it is a stranger
	member  bool
}

func newCrowd(l Limits) *crowd {
	return &crowd{
		limits: l, strangers: map[netip.Prefix]*list.List{},
		members: map[netip.Prefix]int{}, inside: map[*conn]struct{}{}, channels: map[schema.User]int{},
	}
}

// addressOf is what one person is likely to have: an IPv4 address, or an IPv6 network.
func addressOf(c net.Conn) netip.Prefix {
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // not TCP: everybody is one
	}
	ip := remote.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// enter takes a stranger in; leave must follow.
func (w *crowd) enter(c net.Conn) *visit {
	v := &visit{conn: c, address: addressOf(c)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting >= w.limits.Strangers {
		w.push()
	}
	if w.strangers[v.address] == nil {
		w.strangers[v.address] = list.New()
	}
	v.place = w.strangers[v.address].PushBack(v)
	w.waiting++
	return v
}

// advance lets a stranger whose connection is secure stay longer than those
// who have only come.
func (w *crowd) advance(v *visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v.place != nil {
		w.strangers[v.address].MoveToBack(v.place)
	}
}

// push drops a stranger.
func (w *crowd) push() {
	var most *list.List
	for _, l := range w.strangers {
		if most == nil || l.Len() > most.Len() {
			most = l
		}
	}
	if most == nil {
		return
	}
	oldest, ok := most.Front().Value.(*visit)
	if !ok {
		return
	}
	w.forget(oldest)
	_ = oldest.conn.Close()
}

// forget takes a stranger out.
func (w *crowd) forget(v *visit) {
	if v.place == nil {
		return
	}
	l := w.strangers[v.address]
	l.Remove(v.place)
	v.place = nil
	w.waiting--
	if l.Len() == 0 {
		delete(w.strangers, v.address)
	}
}

// admit makes a member of a stranger who has shown a key that opens something.
// The error, of code Exceeded, is for them to read.
func (w *crowd) admit(v *visit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case v.member:
		return nil
	case v.place == nil:
		return schema.Errorf(schema.Exceeded, "too many connections that have not logged in yet; try again")
	case w.joined >= w.limits.Connections:
		return schema.Errorf(schema.Exceeded, "all %d connections are taken; try again later", w.limits.Connections)
	case w.members[v.address] >= w.limits.PerAddress:
		return schema.Errorf(schema.Exceeded, "all %d connections of your address are taken; end some first", w.limits.PerAddress)
	}
	w.forget(v)
	v.member = true
	w.members[v.address]++
	w.joined++
	return nil
}

// leave ends a visit.
func (w *crowd) leave(v *visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(v)
	if !v.member {
		return
	}
	v.member = false
	w.joined--
	if w.members[v.address]--; w.members[v.address] == 0 {
		delete(w.members, v.address)
	}
}

// take takes one of the channels that a user may have; give gives it back.
func (w *crowd) take(u schema.User) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels[u] >= w.limits.PerUser {
		return schema.Errorf(schema.Exceeded, "all %d channels of user %s are taken", w.limits.PerUser, u)
	}
	w.channels[u]++
	return nil
}

func (w *crowd) give(u schema.User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels[u]--; w.channels[u] == 0 {
		delete(w.channels, u)
	}
}

func (w *crowd) open(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside[c] = struct{}{}
}

func (w *crowd) shut(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.inside, c)
}

// each calls do with every connection that has logged in.
func (w *crowd) each(do func(*conn)) {
	w.mu.Lock()
	inside := slices.Collect(maps.Keys(w.inside))
	w.mu.Unlock()
	for _, c := range inside {
		do(c)
	}
}

// dismissStrangers hangs up on everybody who has not logged in.
func (w *crowd) dismissStrangers() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.strangers {
		for e := l.Front(); e != nil; e = e.Next() {
			if v, ok := e.Value.(*visit); ok {
				_ = v.conn.Close()
			}
		}
	}
}
