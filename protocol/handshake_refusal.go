package protocol

// RefusalResponse returns the response to a request over HTTP/1.1, or to bytes
// that are none, that a server refuses for err. It has no length: text that the
// caller sends after it ends when the connection does. A status that is no
// error's, such as 0, becomes 500.
//
// Over HTTP/2 use Request.Refusal, because Connection has no place there.
func RefusalResponse(err *HandshakeError) Response {
	status := err.Status
	if status < 400 || status > 599 {
		status = 500
	}
	fields := []Field{{"Connection", "close"}}
	// A 426 names what to upgrade to, and Connection names Upgrade.
	// RFC 9110 §15.5.22, §7.8.
	if status == 426 {
		fields = []Field{{"Connection", "Upgrade, close"}, {"Upgrade", "websocket"}}
	}
	return Response{status, reasonPhrase(status), 1, 1, append(fields, refusalFields(err, status)...)}
}

// Refusal returns the response to r, over any version of HTTP, that a server
// refuses for err.
func (r *Request) Refusal(err *HandshakeError) Response {
	resp := RefusalResponse(err)
	if r.Major >= 2 {
		resp.Reason, resp.Major, resp.Minor = "", r.Major, 0
		resp.Fields = lowerNames(refusalFields(err, resp.Status))
	}
	return resp
}

// refusalFields returns the fields of a refusal that do not belong to the
// connection.
func refusalFields(err *HandshakeError, status int) []Field {
	fields := []Field{{"Content-Type", "text/plain; charset=utf-8"}}
	// RFC 9110 §15.5.6
	if status == 405 {
		fields = append(fields, Field{"Allow", "GET"})
	}
	// RFC 6455 §4.4
	if err.Field == "Sec-WebSocket-Version" {
		fields = append(fields, Field{"Sec-WebSocket-Version", "13"})
	}
	return fields
}

// reasonPhrase returns the reason phrase of the statuses that a server's opening
// handshake answers with, and "" for others. RFC 9110 §15.
func reasonPhrase(status int) string {
	switch status {
	case 101:
		return "Switching Protocols"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 503:
		return "Service Unavailable"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
