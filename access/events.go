package access

import (
	"cmp"
	"context"
	"regexp"
	"slices"
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
	// Count is how often it happened between First and Last.
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
	found := map[Event]*Event{}
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
	events := make([]Event, 0, len(found))
	for _, e := range found {
		events = append(events, *e)
	}
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(a.Last.Compare(b.Last), a.First.Compare(b.First), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return events[max(0, len(events)-maxEvents):], nil
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
func count(found map[Event]*Event, e *corev1.Event) {
	what := Event{Type: e.Type, Reason: e.Reason, Message: e.Message, Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name}
	first, last := e.FirstTimestamp.Time, e.LastTimestamp.Time
	times := max(e.Count, 1)
	if e.Series != nil {
		last, times = e.Series.LastObservedTime.Time, max(e.Series.Count, times)
	}
	if first.IsZero() {
		first = cmp.Or(e.EventTime.Time, e.CreationTimestamp.Time)
	}
	if last.Before(first) {
		last = first
	}
	known := found[what]
	if known == nil {
		repeated := what
		repeated.First, repeated.Last = first.UTC(), last.UTC()
		known = &repeated
		found[what] = known
	}
	known.Count += times
	if first.Before(known.First) {
		known.First = first.UTC()
	}
	if last.After(known.Last) {
		known.Last = last.UTC()
	}
}
