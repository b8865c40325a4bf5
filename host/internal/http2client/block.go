package http2client

import "sync"

// A block holds bytes that were received: those of [r, w) are unread.
type block struct {
	next *block
	r, w int
	buf  []byte
	pool *sync.Pool
}

// blockSizes are those of the pooled blocks. A stream takes the smallest that
// fits, after the last has been filled, so that it holds less than two blocks
// above what is unread, however small the frames are.
var blockSizes = [...]int{1 << 10, 4 << 10, 16 << 10}

var blockPools [len(blockSizes)]sync.Pool

// newBlock returns a block for n bytes, or for as many as the largest holds.
func newBlock(n int) *block {
	class := 0
	for class < len(blockSizes)-1 && blockSizes[class] < n {
		class++
	}
	if b, ok := blockPools[class].Get().(*block); ok {
		return b
	}
	return &block{buf: make([]byte, blockSizes[class]), pool: &blockPools[class]}
}

func (b *block) release() {
	b.next, b.r, b.w = nil, 0, 0
	b.pool.Put(b)
}

// A blockQueue holds what a stream has received and nobody has read.
type blockQueue struct {
	first, last *block
	size        int
}

func (q *blockQueue) write(p []byte) {
	for len(p) > 0 {
		if q.last == nil || q.last.w == len(q.last.buf) {
			b := newBlock(len(p))
			if q.last == nil {
				q.first = b
			} else {
				q.last.next = b
			}
			q.last = b
		}
		n := copy(q.last.buf[q.last.w:], p)
		q.last.w += n
		q.size += n
		p = p[n:]
	}
}

func (q *blockQueue) read(p []byte) (n int) {
	for n < len(p) && q.first != nil {
		b := q.first
		k := copy(p[n:], b.buf[b.r:b.w])
		n += k
		if b.r += k; b.r == b.w {
			q.drop()
		}
	}
	q.size -= n
	return n
}

// drop releases the first block.
func (q *blockQueue) drop() {
	b := q.first
	if q.first = b.next; q.first == nil {
		q.last = nil
	}
	b.release()
}

// clear releases everything.
func (q *blockQueue) clear() {
	for q.first != nil {
		q.drop()
	}
	q.size = 0
}
