package kube

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Records are what a map would be, and in order.
func TestRecords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var got records
	want := map[key]uint64{}
	for i := range uint64(2000) {
		k := key{[]kindName{kindPod, kindService}[random.IntN(2)], fmt.Sprintf("o%d", random.IntN(50))}
		if random.IntN(3) == 0 {
			got.remove(k)
			delete(want, k)
		} else {
			got.set(k, &record{version: i})
			want[k] = i
		}
		if _, ok := want[k]; ok != (got.get(k) != nil) {
			t.Fatalf("step %d: %v is there: %t, want %t", i, k, !ok, ok)
		}
	}
	held := map[key]uint64{}
	var before key
	for k, r := range got.all() {
		if len(held) > 0 && before.compare(k) >= 0 {
			t.Errorf("%v comes after %v", k, before)
		}
		held[k], before = r.version, k
	}
	if diff := cmp.Diff(want, held, cmp.AllowUnexported(key{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
