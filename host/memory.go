package host

// fixedMemory is a linear memory that never moves: the most that it may grow to
// is reserved at the start. So a view of a lane stays valid whatever the guest
// allocates, and a read from a socket may go on into it while another call runs.
type fixedMemory struct{ b []byte }

// reserveFixed reserves a memory that may grow to max bytes. If that cannot be
// had the memory has no room at all, and instantiation fails.
func reserveFixed(max uint64) *fixedMemory {
	b, err := reserve(max)
	if err != nil {
		return &fixedMemory{}
	}
	return &fixedMemory{b}
}

func (m *fixedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.b)) {
		return nil
	}
	return m.b[:size:len(m.b)]
}

func (m *fixedMemory) Free() {
	if m.b != nil {
		release(m.b)
		m.b = nil
	}
}
