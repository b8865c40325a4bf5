package http2client

import "time"

// A rate is how many of something are taken at once, and how many a second after
// that.
type rate struct{ burst, perSecond int }

// A meter is a leaky bucket: every use fills it, and time empties it.
type meter struct {
	rate
	level float64
	at    time.Time
}

// take counts one use and reports whether the rate allows it.
func (m *meter) take() bool {
	m.level = m.now() + 1
	return m.level <= float64(m.burst)
}

// full reports whether the next use would exceed the rate.
func (m *meter) full() bool {
	m.level = m.now()
	return m.level+1 > float64(m.burst)
}

// expect makes room for n uses more than the rate allows.
func (m *meter) expect(n int) { m.level -= float64(n) }

func (m *meter) now() float64 {
	now := time.Now()
	if !m.at.IsZero() && m.level > 0 {
		m.level = max(0, m.level-now.Sub(m.at).Seconds()*float64(m.perSecond))
	}
	m.at = now
	return m.level
}
