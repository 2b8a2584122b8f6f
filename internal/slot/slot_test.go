package slot_test

import (
	"context"
	"testing"

	"kontor.dev/kontor/internal/slot"
)

func TestKept(t *testing.T) {
	t.Parallel()
	freed := 0
	s := slot.New(func() { freed++ })
	ctx, cancel := context.WithCancel(slot.With(t.Context(), s))
	first := slot.Keep(context.WithoutCancel(ctx))
	second := slot.Keep(ctx)
	cancel()
	s.Done()
	first()
	first()
	if freed != 0 {
		t.Fatal("the place is free although it is kept")
	}
	second()
	if freed != 1 {
		t.Errorf("freed %d times", freed)
	}
	slot.Keep(t.Context())()
}
