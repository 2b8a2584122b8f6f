package sandbox

import (
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 5, 20, 10, 0, 0, 0, time.UTC)

func TestManualClockRunsDueCallsInOrderOfTime(t *testing.T) {
	clock := NewManualClock(start)
	var ran []string
	var seen []time.Time
	set := func(name string, d time.Duration) Timer {
		return clock.AfterFunc(d, func() {
			ran = append(ran, name)
			seen = append(seen, clock.Now())
		})
	}
	set("late", 3*time.Second)
	set("first", time.Second)
	set("second", time.Second)
	stopped := set("stopped", time.Second)
	clock.AfterFunc(2*time.Second, func() { set("nested", 500*time.Millisecond) })
	set("beyond", time.Minute)
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop must report true once")
	}

	clock.Advance(10 * time.Second)

	if want := []string{"first", "second", "nested", "late"}; !slices.Equal(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if want := start.Add(2500 * time.Millisecond); !seen[2].Equal(want) {
		t.Errorf("the nested call saw %v, want %v", seen[2], want)
	}
	if want := start.Add(10 * time.Second); !clock.Now().Equal(want) {
		t.Errorf("the clock shows %v, want %v", clock.Now(), want)
	}
}

// Two who advance the clock at once take turns, so that calls stay in order of time.
func TestManualClockAdvancesInTurns(t *testing.T) {
	clock := NewManualClock(start)
	inFirst, second := make(chan struct{}), make(chan struct{})
	first := false
	clock.AfterFunc(time.Second, func() {
		close(inFirst)
		select {
		case <-second:
		case <-time.After(20 * time.Millisecond): // long enough for the other to overtake, if it could
		}
		first = true
	})
	clock.AfterFunc(2*time.Second, func() {
		if !first {
			t.Error("the second call overtook the first")
		}
		close(second)
	})
	go clock.Advance(time.Second)
	<-inFirst
	clock.Advance(time.Minute)
}

func TestManualClockStandsStill(t *testing.T) {
	clock := NewManualClock(start)
	ran := false
	clock.AfterFunc(0, func() { ran = true })
	clock.Advance(-time.Hour)
	if !clock.Now().Equal(start) {
		t.Errorf("the clock went back to %v", clock.Now())
	}
	if !ran {
		t.Error("a call that is due did not run")
	}
}
