//go:build !unix

package host

// reserve allocates size bytes of zeroed memory. The runtime takes them from the
// system, which gives pages as they are touched.
func reserve(size uint64) ([]byte, error) { return make([]byte, size), nil }

func release([]byte) {}
