package access

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// fresh is how old an answer may be that is told again.
	fresh = 2 * time.Second
	// maxAnswers bounds how many are kept of a kind.
	maxAnswers = 256
)

// answers are what others said a moment ago. Each is asked for once, however
// many want to know it, and must not be changed by them.
type answers[T any] struct {
	mu     sync.Mutex
	kept   map[string]*answer[T]
	asking singleflight.Group
}

type answer[T any] struct {
	at    time.Time
	value T
}

// get returns an answer that is fresh. Errors aren't kept.
func (s *answers[T]) get(ctx context.Context, key string, ask func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	known := s.kept[key]
	s.mu.Unlock()
	if known != nil && time.Since(known.at) < fresh {
		return known.value, nil
	}
	// Whoever asks first may leave before the others have their answer.
	asked := s.asking.DoChan(key, func() (any, error) {
		value, err := ask(context.WithoutCancel(ctx))
		if err == nil {
			s.keep(key, value)
		}
		return value, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case result := <-asked:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

func (s *answers[T]) keep(key string, value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= maxAnswers {
		s.kept = map[string]*answer[T]{}
	}
	s.kept[key] = &answer[T]{time.Now(), value}
}
