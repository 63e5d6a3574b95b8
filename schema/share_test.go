package schema

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What two loaders beside each other have read is read and held once.
func TestLoadersBesideEachOther(t *testing.T) {
	repository := largeFleet(300)
	repository["platform.yaml"] = "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec: {}\n"
	one := NewLoader()
	two := one.Beside()
	s, counts := counting(snapshot(t, repository.fsys()))
	s.Revision = ""
	first, err := one.Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	counts.blobs.Store(0)
	second, err := two.Load(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got := counts.blobs.Load(); got != 0 {
		t.Errorf("the second read %d files again", got)
	}
	for id, space := range first.Spaces.All() {
		if second.Spaces.Get(id) != space {
			t.Errorf("%s is held twice", id)
		}
	}

	s.Revision = "0123456789"
	if first, err = one.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if second, err = two.Load(t.Context(), s); err != nil || second != first {
		t.Errorf("the same revision is another fleet, or %v", err)
	}

	// Neither drives out what the other remembers.
	for i := range 3 {
		repository["users/user1/space3/c4.yaml"] = containerFile("c4", 1000+i)
		load(t, two, repository.fsys())
	}
	counts.blobs.Store(0)
	if _, err := one.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got := counts.blobs.Load(); got != 0 {
		t.Errorf("the first read %d files again", got)
	}
}

func TestEqualListsAreOne(t *testing.T) {
	list := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}
	}
	same := func(a, b corev1.ResourceList) bool {
		return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
	}
	var l lists
	first := l.share(list("50m"))
	if !same(first, l.share(list("50m"))) {
		t.Error("equal lists are two")
	}
	if same(first, l.share(list("51m"))) {
		t.Error("different lists are one")
	}
	if diff := cmp.Diff(list("50m"), first); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := l.share(nil); got != nil {
		t.Errorf("of nothing: got %v", got)
	}
	for i := range 2 * maxLists {
		l.share(list(strconv.Itoa(i+1) + "m"))
	}
	if got := len(l.of); got > maxLists {
		t.Errorf("%d lists are remembered", got)
	}
}
