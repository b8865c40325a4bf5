package protocol

import (
	"errors"
	"testing"
)

func TestIsToken(t *testing.T) {
	for _, s := range []string{"a", "Z", "0", "chat", "graphql-transport-ws", "v1.2", "!#$%&'*+-.^_`|~"} {
		if !IsToken(s) {
			t.Errorf("IsToken(%q) = false", s)
		}
	}
	for _, s := range []string{"", " ", "a b", "a,b", "a/b", "a:b", "a;b", "a=b", `a"b`, "(a)", "[a]", "{a}", "<a>", "a@b", "a?b", `a\b`, "a\t", "a\r\n", "\x00", "\x7f", "é", "\xff"} {
		if IsToken(s) {
			t.Errorf("IsToken(%q) = true", s)
		}
	}
}

func TestIsFieldValue(t *testing.T) {
	for _, s := range []string{"", "a", "a b", "a\tb", "é", "\xff\x80", `"quoted, \"value\""`} {
		if !IsFieldValue(s) {
			t.Errorf("IsFieldValue(%q) = false", s)
		}
	}
	for _, s := range []string{" ", " a", "a ", "\ta", "a\t", "a\r\nb", "a\nb", "a\rb", "a\x00b", "a\x1fb", "a\x7fb"} {
		if IsFieldValue(s) {
			t.Errorf("IsFieldValue(%q) = true", s)
		}
	}
}

func TestCheckSubprotocols(t *testing.T) {
	for _, list := range [][]string{nil, {}, {"chat"}, {"chat", "superchat"}, {"a", "b", "ab"}} {
		if err := CheckSubprotocols(list); err != nil {
			t.Errorf("CheckSubprotocols(%q) = %v", list, err)
		}
	}
	for _, test := range []struct {
		list  []string
		value string
	}{
		{[]string{""}, ""},
		{[]string{"a b"}, "a b"},
		{[]string{"a", "b,c"}, "b,c"},
		{[]string{"a\r\nb"}, "a\r\nb"},
		{[]string{"é"}, "é"},
		{[]string{"a", "a"}, "a"},
		{[]string{"chat", "b", "CHAT"}, "CHAT"},
	} {
		err := CheckSubprotocols(test.list)
		var e *SubprotocolError
		if !errors.As(err, &e) || e.Value != test.value || !errors.Is(err, ErrSubprotocol) {
			t.Errorf("CheckSubprotocols(%q) = %v, want a *SubprotocolError for %q", test.list, err, test.value)
		}
	}
	err := CheckSubprotocols([]string{"a\nb"})
	if want := `websocket: invalid subprotocol "a\nb": a subprotocol is an HTTP token: letters, digits and !#$%&'*+-.^_` + "`|~"; err.Error() != want {
		t.Errorf("the value is quoted and the rule said:\n got %s\nwant %s", err, want)
	}
}

func TestHasToken(t *testing.T) {
	for _, s := range []string{"websocket", "WebSocket", " websocket\t", "h2c, websocket", "websocket,h2c", ",,websocket,", "a,\tWEBSOCKET ,b"} {
		if !hasToken(s, "websocket") {
			t.Errorf("hasToken(%q) = false", s)
		}
	}
	for _, s := range []string{"", ",", " , ", "web socket", "websocket/13", "websockets", "xwebsocket", `"websocket"`, "websocket;a", "web\u017focket", "web,socket"} {
		if hasToken(s, "websocket") {
			t.Errorf("hasToken(%q) = true", s)
		}
	}
}

func TestEqualFoldIsASCII(t *testing.T) {
	if !equalFold("aZ-09", "Az-09") {
		t.Error("letters compare without case")
	}
	for _, pair := range [][2]string{{"k", "\u212a"}, {"s", "\u017f"}, {"@", "`"}, {"[", "{"}, {"\x00", " "}, {"É", "é"}, {"a", "ab"}} {
		if equalFold(pair[0], pair[1]) {
			t.Errorf("equalFold(%q, %q) = true", pair[0], pair[1])
		}
	}
}
