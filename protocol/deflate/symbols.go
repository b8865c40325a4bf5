package deflate

// Symbols of the literal/length alphabet and the distance alphabet. RFC 1951
// §3.2.5.
const (
	endOfBlock   = 256
	firstLength  = 257
	lastLength   = 285
	lastDistance = 29

	litSymbols  = lastLength + 1
	distSymbols = lastDistance + 1
	lenSymbols  = 19

	minMatch = 3
	maxMatch = 258

	minWindowBits = 8
	maxWindowBits = 15
)

// Symbols of the code length alphabet. RFC 1951 §3.2.7.
const (
	repeatPrevious  = 16 // 3 to 6 times: 2 bits
	repeatZero      = 17 // 3 to 10 times: 3 bits
	repeatZeroLong  = 18 // 11 to 138 times: 7 bits
	maxLenCodeLen   = 7
	maxStoredLength = 65535
)

// Block types. RFC 1951 §3.2.3.
const (
	blockStored = iota
	blockFixed
	blockDynamic
)

// A lengthCode is a row of RFC 1951 §3.2.5: the shortest length of a symbol and
// how many extra bits add to it.
type lengthCode struct {
	base  uint16
	extra uint8
}

// lengthCodes are those of symbols from firstLength on.
var lengthCodes = [...]lengthCode{
	{3, 0}, {4, 0}, {5, 0}, {6, 0}, {7, 0}, {8, 0}, {9, 0}, {10, 0},
	{11, 1}, {13, 1}, {15, 1}, {17, 1}, {19, 2}, {23, 2}, {27, 2}, {31, 2},
	{35, 3}, {43, 3}, {51, 3}, {59, 3}, {67, 4}, {83, 4}, {99, 4}, {115, 4},
	{131, 5}, {163, 5}, {195, 5}, {227, 5}, {258, 0},
}

// lenOrder is the order in which the lengths of the code length code are sent.
// RFC 1951 §3.2.7.
var lenOrder = [lenSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
