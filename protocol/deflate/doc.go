// Package deflate is raw DEFLATE, RFC 1951, as permessage-deflate needs it,
// RFC 7692: from slice to slice, resumable at any byte, with memory that follows
// what a connection sent and received.
//
//	var shared deflate.Shared // one for all connections of a goroutine
//
//	var d deflate.Deflater
//	d.Init(&shared, deflate.Default, 15)
//	wire := d.AppendLast(nil, message) // without 00 00 ff ff
//
//	var z deflate.Inflater
//	z.Init(&shared, 15)
//	out, n, more, err := z.Inflate(room[:0], wire)
//
// Feed an Inflater the payload of a message and then 00 00 ff ff, drain it while it
// says more, and ask AtBoundary whether the message may end there. Without context
// takeover Reset follows each message.
//
// # Memory
//
// In bytes, besides the struct; TestInflaterSize and TestDeflaterSize hold it. W is
// the window, 1<<windowBits, or as much of it as the stream has filled, as a power
// of two:
//
//	Inflater            W, at least 256; inside a dynamic block 7,264 more
//	Deflater, Default   W for the window and 2 W, at least 1,024, for the table: 96 KiB for 15 bits
//	Deflater, Fastest   W and W/2: 48 KiB
//	Deflater, Best      W and 3 W: 128 KiB
//	Shared              144 KiB with a Deflater, 7 to 18 KiB of tables with an Inflater,
//	                    and what up to 8 Inflaters gave back: 40 KiB each
//
// An Inflater that received 200 bytes holds 256 and its 240. A Deflater that sent
// 200 bytes holds 1,280 and its 136.
//
// # Why it is as it is
//
// Why not compress/flate or klauspost/compress. Both want a Reader and a Writer: a
// message that arrives in parts needs a goroutine or a copy of all of it, context
// takeover in a Reader is a Reset with a dictionary that is copied for each message,
// no window but 32 KiB can be asked for, and a decoder is 35 to 40 KiB a connection, an
// encoder 0.8 to 1.1 MB. compress/flate adds 815 KB to the engine, 216 KB gzipped,
// fmt among it; this package 117 KB, 34 KB gzipped.
//
// In the sandbox, MB/s of messages, records of JSON and the sources of this package
// as text, and how many times smaller the messages become; klauspost/compress
// v1.17.9 and, of the same run's other half, Go 1.27.4's compress/flate:
//
//	                     Default            klauspost, 6        compress/flate, 6
//	                 enc   dec  ratio      enc   dec  ratio      enc   dec  ratio
//	200 B, takeover  20.0  50   3.33       6.1   26   3.29       5.4   24   3.29
//	1 KiB            20.0  54   3.09       11.9  21   3.09       9.6   20   3.09
//	1 KiB, takeover  23.8  59   4.48       13.7  25   4.39       11.1  24   4.39
//	16 KiB           37.4  178  4.75       26.1  24   4.72       18.8  39   4.72
//	16 KiB, takeover 38.5  172  5.05       25.9  50   5.03       18.7  42   5.03
//	1 MiB of text    21.7  112  2.96       16.9  34   3.00       11.9  28   3.00
//
// Fastest encodes 1 KiB at 27 MB/s, ratio 2.74, where their level 1 has 15 and 13,
// ratio 2.89; Best at 14, ratio 3.12, where their level 9 has 6 and 5, ratio 3.12.
// Where the others are better: level 1 is 2 to 8 % smaller than Fastest, but for 200
// B; compress/flate of Go 1.26, which is slower than that of 1.27, is at level 6 1 to
// 6 % smaller than Default. Command:
//
//	GOTOOLCHAIN=go1.27.4 GOEXPERIMENT=simd DEFLATE_RIVAL=rival.wasm \
//		go test -run '^$' -bench Guest ./protocol/deflate
//
// with rival.wasm of testdata/guestbench/main.go and a codec.go of the library.
//
// One buffer of 64 KiB for all Deflaters, in Shared, to which a Deflater's window is
// brought when another was there in between. A place in it is 16 bits and needs no
// check of its bounds; in the sandbox a load from a slice took 5 ns, from there 1.7.
// Where one connection sends several messages, nothing is brought.
//
// Positions of 16 bits in the tables, never adjusted: what is stale or from another
// turn of the counter is a place like others, whose bytes are compared. Reset
// forgets the tables, and the next message clears as much of them as it is long, so
// that what comes out depends on the stream alone.
//
// Default: four places for each hash in one word, a load and a store for each
// byte. Hashes of 5 bytes against 4 made 1 KiB with takeover 4 % smaller, 1 MiB of
// JSON 6 %. A chain of 8 places, in as much memory, was 2 % larger with takeover and
// no faster. Half as large a table is 1 to 2 % larger.
//
// What costs an Inflater the most for its size is a dynamic block without content:
// 15 bytes that take 7 µs in the sandbox (BenchmarkHeaders).
//
// Literals are coded from the message itself, by runs, and not copied into tokens.
//
// At least two distances have a code, since some decoders refuse codes that are
// incomplete.
//
// A block with BFINAL ends nothing. RFC 7692 §7.2.3.4 allows it, and what follows is
// aligned to a byte.
package deflate
