package deflate

import "math/bits"

// minWindow is the smallest buffer of a window.
const minWindow = 256

// A window is the end of a stream. Its buffer grows in powers of two up to the full
// size, and is a ring from then on. The zero value is empty.
type window struct {
	b    []byte
	at   int // where the next byte goes
	have int // how much there is
}

// remember adds p to a window of a full size. Buffers come from s and go there,
// unless it is nil.
func (w *window) remember(p []byte, size int, s *Shared) {
	if len(p) == 0 {
		return
	}
	if need := min(size, w.have+len(p)); need > len(w.b) {
		w.grow(max(minWindow, 1<<bits.Len(uint(need-1))), s)
	}
	if len(p) >= len(w.b) {
		copy(w.b, p[len(p)-len(w.b):])
		w.at, w.have = 0, len(w.b)
		return
	}
	n := copy(w.b[w.at:], p)
	copy(w.b, p[n:])
	w.at = (w.at + len(p)) & (len(w.b) - 1)
	w.have = min(w.have+len(p), len(w.b))
}

// grow moves the window to a buffer of size bytes. It was not a ring before: what
// is in it begins at 0.
func (w *window) grow(size int, s *Shared) {
	var b []byte
	if s == nil {
		b = make([]byte, size)
	} else {
		b = s.takeWindow(size)
	}
	copy(b, w.b[:w.have])
	if s != nil {
		s.giveWindow(w.b)
	}
	w.b, w.at = b, w.have
}

// copyTo copies the window to dst, which has room for it, and returns how much that
// was.
func (w *window) copyTo(dst []byte) int {
	if w.have == 0 {
		return 0
	}
	n := 0
	if w.have > w.at {
		n = copy(dst, w.b[len(w.b)-(w.have-w.at):])
	}
	return n + copy(dst[n:], w.b[:w.at])
}
