package protocol

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// appendBase64 appends src to dst in base64 with padding. RFC 4648 §4.
func appendBase64(dst, src []byte) []byte {
	for ; len(src) >= 3; src = src[3:] {
		v := uint(src[0])<<16 | uint(src[1])<<8 | uint(src[2])
		dst = append(dst, base64Alphabet[v>>18], base64Alphabet[v>>12&63], base64Alphabet[v>>6&63], base64Alphabet[v&63])
	}
	switch len(src) {
	case 1:
		v := uint(src[0]) << 4
		dst = append(dst, base64Alphabet[v>>6], base64Alphabet[v&63], '=', '=')
	case 2:
		v := uint(src[0])<<10 | uint(src[1])<<2
		dst = append(dst, base64Alphabet[v>>12], base64Alphabet[v>>6&63], base64Alphabet[v&63], '=')
	}
	return dst
}

// decodeBase64 decodes s, which is base64 with padding and nothing else. Bits
// that the padding leaves over may have any value, as RFC 4648 §3.5 allows:
// there are clients that send them set.
func decodeBase64(s string) (b []byte, ok bool) {
	if len(s)%4 != 0 {
		return nil, false
	}
	padding := 0
	for padding < 2 && padding < len(s) && s[len(s)-1-padding] == '=' {
		padding++
	}
	s = s[:len(s)-padding]
	b = make([]byte, 0, len(s)*6/8)
	var v, held uint // bits that are not yet in b, and how many
	for i := range len(s) {
		digit, ok := base64Digit(s[i])
		if !ok {
			return nil, false
		}
		v, held = v<<6|digit, held+6
		if held >= 8 {
			held -= 8
			b = append(b, byte(v>>held))
		}
	}
	return b, true
}

func base64Digit(c byte) (v uint, ok bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return uint(c - 'A'), true
	case 'a' <= c && c <= 'z':
		return uint(c-'a') + 26, true
	case '0' <= c && c <= '9':
		return uint(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}
