package access

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"bayplan.dev/schema"
)

const (
	// eventPage is how many events of a space are read at a time, and
	// eventPages how many times.
	eventPage  = 500
	eventPages = 10
	// maxEvents is how many are returned.
	maxEvents = 200
)

// Event is something that happened to a container, as Kubernetes tells it.
type Event struct {
	// Type is Normal or Warning.
	Type    string `json:"type"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Object is what it happened to: "Pod/web-5d9c7b8f4-x2x7q".
	Object string `json:"object"`
	// Count is how often it happened between First and Last, which are in whole
	// seconds.
	Count int32     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Events returns what happened to the container's Deployment, Pods and
// claims, the newest last, at most 200. Kubernetes forgets after an hour or so.
func (a *Access) Events(ctx context.Context, id schema.ContainerID) ([]Event, error) {
	t, err := a.locate(id)
	if err != nil && schema.CodeOf(err) != schema.Conflict {
		return nil, err
	}
	concerns := concerning(id.Name, t.Claims)
	found := map[Event]*tally{}
	options := metav1.ListOptions{Limit: eventPage}
	for range eventPages {
		list := &corev1.EventList{}
		err := a.core.Get().Namespace(id.Space.Namespace()).Resource("events").
			VersionedParams(&options, scheme.ParameterCodec).Timeout(handshake).Do(ctx).Into(list)
		if err != nil {
			return nil, a.wrap(id, err)
		}
		for i := range list.Items {
			if concerns(list.Items[i].InvolvedObject) {
				count(found, &list.Items[i])
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	return newest(found), nil
}

// tally is an event with all its repetitions.
type tally struct {
	Event
	// version is that of the last one. Times are in whole seconds, and these
	// tell in which order things were told within one.
	version uint64
}

// step is 0 for what must have been before all else within the same second.
func (t *tally) step() int {
	if t.Reason == "Scheduled" {
		return 0
	}
	return 1
}

// newest are the last ones in the order in which they happened. The scheduler
// may tell where it has put a Pod after its node has told that it runs there.
func newest(found map[Event]*tally) []Event {
	all := slices.SortedFunc(maps.Values(found), func(a, b *tally) int {
		return cmp.Or(a.Last.Compare(b.Last), cmp.Compare(a.step(), b.step()), cmp.Compare(a.version, b.version),
			cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	all = all[max(0, len(all)-maxEvents):]
	events := make([]Event, len(all))
	for i, e := range all {
		events[i] = e.Event
	}
	return events
}

// The names that a Deployment's ReplicaSets, and their Pods, have behind its
// own: a hash, and five random characters. Neither has a dash in it.
var (
	ofReplicaSet = regexp.MustCompile(`^-[a-z0-9]+$`)
	ofPod        = regexp.MustCompile(`^-[a-z0-9]+-[a-z0-9]{5}$`)
)

// concerning says which objects belong to the container of the name.
func concerning(name string, claims []string) func(corev1.ObjectReference) bool {
	return func(o corev1.ObjectReference) bool {
		rest, mine := o.Name, false
		if len(rest) >= len(name) && rest[:len(name)] == name {
			rest, mine = rest[len(name):], true
		}
		switch o.Kind {
		case "Deployment":
			return mine && rest == ""
		case "ReplicaSet":
			return mine && ofReplicaSet.MatchString(rest)
		case "Pod":
			return mine && ofPod.MatchString(rest)
		case "PersistentVolumeClaim":
			return slices.Contains(claims, o.Name)
		}
		return false
	}
}

// count adds the event to what it repeats.
func count(found map[Event]*tally, e *corev1.Event) {
	what := Event{Type: e.Type, Reason: e.Reason, Message: e.Message, Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name}
	first, last := e.FirstTimestamp.Time, e.LastTimestamp.Time
	times := max(e.Count, 1)
	if e.Series != nil {
		last, times = e.Series.LastObservedTime.Time, max(e.Series.Count, times)
	}
	if first.IsZero() {
		first = cmp.Or(e.EventTime.Time, e.CreationTimestamp.Time)
	}
	// Some tell microseconds, most whole seconds: mixed, a Pod would be started
	// before it was scheduled.
	first, last = first.Truncate(time.Second), last.Truncate(time.Second)
	if last.Before(first) {
		last = first
	}
	known := found[what]
	if known == nil {
		known = &tally{Event: what}
		known.First, known.Last = first.UTC(), last.UTC()
		found[what] = known
	}
	known.Count += times
	version, _ := strconv.ParseUint(e.ResourceVersion, 10, 64) // they are ordered since Kubernetes 1.35
	known.version = max(known.version, version)
	if first.Before(known.First) {
		known.First = first.UTC()
	}
	if last.After(known.Last) {
		known.Last = last.UTC()
	}
}
