package access

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A question is asked once for all who ask it at a time, also if the first of
// them leaves; its answer is told until it is old, and an error to nobody else.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s answers[int]
		asked := 0
		var failure error
		ask := func(context.Context) (int, error) {
			asked++
			n := asked
			time.Sleep(time.Second)
			return n, failure
		}
		get := func(want int) {
			t.Helper()
			if got, err := s.get(t.Context(), "key", ask); err != nil || got != want {
				t.Errorf("got %d, error %v, want %d", got, err, want)
			}
		}
		impatient, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.get(impatient, "key", ask); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who left got the error %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			group.Go(func() { get(1) })
		}
		group.Wait()
		time.Sleep(fresh - time.Millisecond)
		get(1)
		time.Sleep(time.Millisecond)
		get(2)
		time.Sleep(fresh)
		failure = errors.New("broken")
		if _, err := s.get(t.Context(), "key", ask); !errors.Is(err, failure) {
			t.Errorf("error %v, want %v", err, failure)
		}
		failure = nil
		get(4)
	})
}

func TestAnswersAreBounded(t *testing.T) {
	var s answers[int]
	for i := range 10 * maxAnswers {
		_, err := s.get(t.Context(), strconv.Itoa(i), func(context.Context) (int, error) { return i, nil })
		if err != nil || len(s.kept) > maxAnswers {
			t.Fatalf("%d are kept, error %v", len(s.kept), err)
		}
	}
}
