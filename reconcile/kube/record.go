package kube

import (
	"encoding/hex"
	"strconv"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

// annotationIntent is the digest of the rendered object without its revision.
const annotationIntent = "bayplan.dev/intent"

// key names an object within a namespace.
type key struct {
	kind kindName
	name string
}

// record is all that is kept of an object. It never changes once it is in the
// view, so that readers need no lock for it.
type record struct {
	uid types.UID
	// version is the resourceVersion; versions of one kind can be compared (KEP-5504).
	version uint64
	// owner is the space that the owner annotation names; empty for a stranger.
	owner string
	// deleting is true when the object has been told to go.
	deleting bool
	// intent is the digest that the object was last applied with, and zero when
	// somebody else has changed that annotation. So is revision empty.
	intent   digest
	revision schema.Revision
	// fields is the digest of the fields that are ours; zero where nobody needs it.
	fields digest
	// mark moves whenever one of these does.
	mark digest
	// good is a mark under which the object was seen to be what intent leads to.
	good digest
	// container is the container's name, from the label.
	container string
	// detail is a comparable value of the kind's own, or nil.
	detail any
}

// ownedBy says whether the object belongs to the space.
func (r *record) ownedBy(id schema.SpaceID) bool { return r != nil && r.owner == id.String() }

// same says whether the two say the same but for their versions.
func (r *record) same(o *record) bool {
	a, b := *r, *o
	a.version, b.version = 0, 0
	a.good, b.good = digest{}, digest{}
	a.fields, b.fields = digest{}, digest{}
	return a == b
}

// record makes the record of a live object. What is known of it already, or
// nil, saves comparing its fields anew when only its status has changed. Of an
// object that is being written just now nothing is compared: the answer to that
// tells, and without one the object is written again.
func (s shape) record(k kind, o object, known *record, written bool) *record {
	r := s.identity(k, o)
	if k.observed || r.owner == "" {
		return r
	}
	if known != nil && known.uid == r.uid && known.mark == r.mark {
		r.fields, r.revision, r.intent = known.fields, known.revision, known.intent
		return r
	}
	if written {
		return r
	}
	mine, err := s.owned(k, o)
	if err != nil {
		// A server newer than our schema may hold what we can't read. The
		// digest then stands for "as it was after our last apply".
		mine = ours{fields: digestOf([]byte(err.Error())), revision: true, intent: true}
	}
	r.fields = mine.fields
	if !mine.revision {
		r.revision = ""
	}
	if !mine.intent {
		r.intent = digest{}
	}
	return r
}

// answer makes the record of an object as the answer to our own apply shows
// it. Whatever the server has made of the intent, sending it again changes nothing.
func (s shape) answer(k kind, o object) *record {
	r := s.identity(k, o)
	r.good = r.mark
	return r
}

// identity makes the record of an object whose annotations are believed.
func (s shape) identity(k kind, o object) *record {
	annotations, labels := o.GetAnnotations(), o.GetLabels()
	r := &record{
		uid:       o.GetUID(),
		version:   versionOf(o),
		owner:     shared(s.fleet.space(annotations[schema.AnnotationOwner])),
		deleting:  o.GetDeletionTimestamp() != nil,
		container: shared(labels[schema.LabelContainer]),
	}
	if k.detail != nil {
		r.detail = k.detail(o)
	}
	if !k.observed && r.owner != "" {
		r.mark = markOf(o)
		r.intent = parseDigest(annotations[annotationIntent])
		r.revision = schema.Revision(shared(annotations[schema.AnnotationRevision]))
	}
	return r
}

// markOf identifies which fields are ours and when they were last written.
// Nobody can change one of them without moving it: the field becomes somebody
// else's, or, where somebody applies in our name, the time moves.
func markOf(o object) digest {
	b := make([]byte, 0, 4096)
	b = strconv.AppendInt(b, o.GetGeneration(), 10)
	b = append(b, ' ')
	b = append(b, o.GetAnnotations()[annotationIntent]...)
	b = append(b, ' ')
	b = append(b, o.GetAnnotations()[schema.AnnotationRevision]...)
	for _, entry := range o.GetManagedFields() {
		if !isOurs(entry) {
			continue
		}
		b = append(b, '\n')
		if entry.Time != nil {
			b = strconv.AppendInt(b, entry.Time.Unix(), 10)
		}
		b = append(b, ' ')
		b = append(b, entry.FieldsV1.GetRawBytes()...)
	}
	return digestOf(b)
}

func isOurs(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == schema.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" && entry.FieldsV1 != nil
}

func versionOf(o metav1.Object) uint64 {
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// parseDigest is the inverse of digest.String, and zero for anything else.
func parseDigest(s string) digest {
	var d digest
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

// shared returns one copy of equal strings; thousands of objects have the same.
func shared(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value()
}
