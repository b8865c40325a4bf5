package deflate

// A FormatError is a rule of RFC 1951 that compressed data broke. What follows
// in the stream cannot be decoded.
type FormatError struct {
	Rule string
}

func (e *FormatError) Error() string { return "deflate: invalid data: " + e.Rule }

// What can be wrong in compressed data. RFC 1951 §3.2.
var (
	errBlockType      = &FormatError{"the block type is stored, fixed or dynamic"}
	errStoredLength   = &FormatError{"a stored block's LEN and NLEN are complements"}
	errSymbolCount    = &FormatError{"a dynamic block has at most 286 literal/length codes and 30 distance codes"}
	errLengthCodes    = &FormatError{"the code length code is complete"}
	errRepeatFirst    = &FormatError{"a code length that is repeated has one before it"}
	errRepeatBeyond   = &FormatError{"the code lengths end with the last distance code"}
	errNoEndOfBlock   = &FormatError{"a dynamic block has an end-of-block code"}
	errLiteralCodes   = &FormatError{"the literal/length code is complete"}
	errDistanceCodes  = &FormatError{"the distance code is complete"}
	errLiteralSymbol  = &FormatError{"a literal/length code is in use"}
	errDistanceSymbol = &FormatError{"a distance code is in use"}
	errDistanceWindow = &FormatError{"a distance is within the window"}
	errDistanceStart  = &FormatError{"a distance does not reach before the first byte"}
)
