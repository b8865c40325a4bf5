package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A stepFunc is a worker that holds nothing.
type stepFunc func(context.Context) (int, error)

func (f stepFunc) step(ctx context.Context) (int, error) { return f(ctx) }
func (f stepFunc) close()                                {}

// every returns a worker that does n in each d.
func every(d time.Duration, n int) worker {
	return stepFunc(func(ctx context.Context) (int, error) {
		wait(ctx, d)
		return n, ctx.Err()
	})
}

func TestDriveCountsWithinItsWindow(t *testing.T) {
	for _, test := range []struct {
		name    string
		workers []worker
		window  window
		want    float64
	}{
		// The steps that end at 40, 50, … 130 ms.
		{"one worker", []worker{every(10*time.Millisecond, 1)}, window{35 * time.Millisecond, 100 * time.Millisecond}, 100},
		{"steps of 32", []worker{every(10*time.Millisecond, 32)}, window{35 * time.Millisecond, 100 * time.Millisecond}, 3200},
		{"two workers", []worker{every(10*time.Millisecond, 1), every(20*time.Millisecond, 1)}, window{35 * time.Millisecond, 100 * time.Millisecond}, 150},
		// The first step ends in the third window.
		{"a step longer than the window", []worker{every(25*time.Millisecond, 3)}, window{0, 10 * time.Millisecond}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, err := drive(t.Context(), test.workers, test.window)
				if err != nil || got != test.want {
					t.Errorf("got %v a second, error %v, want %v", got, err, test.want)
				}
			})
		})
	}
}

func TestDriveEndsWithTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errBroken := errors.New("broken")
		start := time.Now()
		_, err := drive(t.Context(), []worker{
			every(10*time.Millisecond, 1),
			stepFunc(func(ctx context.Context) (int, error) {
				wait(ctx, 25*time.Millisecond)
				return 0, errBroken
			}),
		}, window{duration: time.Minute})
		if took := time.Since(start); err != errBroken || took != 25*time.Millisecond {
			t.Errorf("got error %v after %v, want %v after 25ms", err, took, errBroken)
		}
	})
}

func TestDriveGivesUpASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := drive(t.Context(), []worker{every(time.Hour, 1)}, window{duration: time.Second})
		if took := time.Since(start); err != errStalled || took != time.Second+stallTimeout {
			t.Errorf("got error %v after %v, want %v after %v", err, took, errStalled, time.Second+stallTimeout)
		}
	})
}
