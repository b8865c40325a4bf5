package protocol

import (
	"reflect"
	"strings"
	"testing"
)

func TestRefusalResponse(t *testing.T) {
	const text = "Content-Type: text/plain; charset=utf-8\r\n"
	for _, test := range []struct {
		err  HandshakeError
		want string
	}{
		{HandshakeError{Status: 400}, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 403}, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 405}, "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n" + text + "Allow: GET\r\n\r\n"},
		{HandshakeError{Status: 426, Field: "Upgrade"},
			"HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n" + text + "\r\n"},
		{HandshakeError{Status: 426, Field: "Sec-WebSocket-Version"},
			"HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n" + text + "Sec-WebSocket-Version: 13\r\n\r\n"},
		{HandshakeError{Status: 431}, "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 0}, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 101}, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 399}, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 600}, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n" + text + "\r\n"},
		{HandshakeError{Status: 418}, "HTTP/1.1 418 \r\nConnection: close\r\n" + text + "\r\n"},
	} {
		resp := RefusalResponse(&test.err)
		if got := string(resp.Append(nil)); got != test.want {
			t.Errorf("%+v is answered by\n%q, want\n%q", test.err, got, test.want)
		}
	}
}

func TestRefusalOverHTTP2(t *testing.T) {
	r := &Request{Method: "CONNECT", Major: 2}
	got := r.Refusal(&HandshakeError{Status: 400, Field: "Sec-WebSocket-Version"})
	want := Response{Status: 400, Major: 2, Fields: []Field{{"content-type", "text/plain; charset=utf-8"}, {"sec-websocket-version", "13"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("no field of the connection is answered: %+v, want %+v", got, want)
	}
	err := &HandshakeError{Status: 426, Field: "Upgrade"}
	if got := rfcRequestParsed.Refusal(err); !reflect.DeepEqual(got, RefusalResponse(err)) {
		t.Errorf("over HTTP/1.1 it is RefusalResponse: %+v", got)
	}
}

func TestReasonPhrases(t *testing.T) {
	for _, status := range []int{101, 400, 401, 403, 404, 405, 408, 426, 429, 431, 500, 501, 503, 505} {
		if phrase := reasonPhrase(status); phrase == "" || strings.TrimSpace(phrase) != phrase {
			t.Errorf("the reason phrase of %d is %q", status, phrase)
		}
	}
}
