package http2client

import (
	"sync"
	"time"
)

// A deadline is one of a stream's two. The connection's mu guards it.
type deadline struct {
	at     time.Time // zero: none
	passed bool
	timer  *time.Timer
}

// set sets the deadline. When it passes, and if it has, who waits on waiters is
// woken. The caller holds mu, which is waiters.L.
func (d *deadline) set(at time.Time, waiters *sync.Cond) {
	d.at, d.passed = at, false
	if d.timer != nil {
		d.timer.Stop()
	}
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	switch {
	case left <= 0:
		d.passed = true
		waiters.Broadcast()
	case d.timer == nil:
		d.timer = time.AfterFunc(left, func() {
			waiters.L.Lock()
			defer waiters.L.Unlock()
			// The timer may have fired for a deadline that was changed since, or
			// the clock may have been set.
			if left := time.Until(d.at); d.at.IsZero() {
				return
			} else if left > 0 {
				d.timer.Reset(left)
				return
			}
			d.passed = true
			waiters.Broadcast()
		})
	default:
		d.timer.Reset(left)
	}
}

// stop releases the timer.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
