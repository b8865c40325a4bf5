package interop

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/wasock/wasock/host"
)

// handshakes are opening handshakes, accepted and refused.
var handshakes = []conversation{
	{"subprotocol chosen", func(c *call) {
		c.negotiated([]string{"chat.example"}, []string{"chat.example"}, "chat.example")
	}},
	{"subprotocol of the server's preference", func(c *call) {
		c.negotiated([]string{"a", "b", "c"}, []string{"x", "c", "b"}, "c")
	}},
	{"subprotocol of several, one in common", func(c *call) {
		c.negotiated([]string{"a", "b", "c"}, []string{"b"}, "b")
	}},
	{"subprotocol not supported", func(c *call) { c.negotiated([]string{"a"}, nil, "") }},
	{"subprotocol not offered", func(c *call) { c.negotiated(nil, []string{"a"}, "") }},
	{"subprotocol not in common", func(c *call) { c.negotiated([]string{"a", "b"}, []string{"c", "d"}, "") }},
	{"request fields reach the server", requestFields},
	{"response fields reach the client", responseFields},
	{"target reaches the server", func(c *call) {
		s := c.serve(options{}, nil)
		p := c.join(s, s.url+"/chat/%C3%A9?q=1&r=a%20b", options{})
		want(c, "path and query arrive as they are", p.request.RequestURI, "/chat/%C3%A9?q=1&r=a%20b")
		want(c, "Host names the server", "ws://"+p.request.Host, strings.Replace(s.url, "wss:", "ws:", 1))
	}},
	{"refusal with 401", func(c *call) { c.refused(http.StatusUnauthorized) }},
	{"refusal with 403", func(c *call) { c.refused(http.StatusForbidden) }},
	{"refusal of an origin", refusedOrigin},
	{"origin of the server itself", func(c *call) {
		s := c.serve(options{}, nil)
		origin := "http" + strings.TrimPrefix(s.url, "ws")
		p := c.join(s, s.url, options{header: http.Header{"Origin": {origin}}})
		want(c, "the origin arrives", p.request.Header.Get("Origin"), origin)
	}},
	{"certificate of an unknown authority", func(c *call) {
		if !c.secure {
			c.Skip("there is no certificate")
		}
		s := c.serve(options{}, nil)
		if _, _, err := c.dialling().dial(c.ctx, s.url, x509.NewCertPool(), options{}); err == nil {
			c.Error("a client trusts a certificate that nobody vouches for")
		}
	}},
}

// negotiated opens a connection and checks the subprotocol at both ends.
func (c *call) negotiated(offered, supported []string, chosen string) {
	c.Helper()
	client := options{subprotocols: offered}
	s := c.serve(options{subprotocols: supported}, nil)
	if chosen == "" && c.givesUp(offered, supported) {
		_, _, err := c.dialling().dial(c.ctx, s.url, s.roots, client)
		var he *host.HandshakeError
		switch {
		case err == nil:
			c.Errorf("%s accepts the lack of a subprotocol, which it did not", c.library.name)
		case !c.role.server && (!errors.As(err, &he) || he.Status != http.StatusBadRequest):
			c.Errorf("we say of their refusal %v", err)
		}
		return
	}
	p := c.join(s, s.url, client)
	want(c, "our end has the subprotocol", p.ours.subprotocol(), chosen)
	want(c, "their end has the subprotocol", p.theirs.subprotocol(), chosen)
	_, named := p.response.Header["Sec-Websocket-Protocol"]
	want(c, "the response names a subprotocol if there is one", named, chosen != "")
}

// givesUp reports whether the library fails a handshake that has no subprotocol:
// as a client that offered some, or as a server that supports some.
func (c *call) givesUp(offered, supported []string) bool {
	if c.role.server {
		return c.library.needsSubprotocol && len(offered) > 0
	}
	return c.library.needsSubprotocol && len(supported) > 0
}

func requestFields(c *call) {
	sent := http.Header{
		"Authorization": {"Bearer abc.def"},
		"Cookie":        {"a=1; b=2"},
		"X-Request-Id":  {"42"},
		"X-Several":     {"one", "two"},
		"X-Utf8":        {"z\u00df\u6c34"},
	}
	s := c.serve(options{}, nil)
	p := c.join(s, s.url, options{header: sent})
	for name, values := range sent {
		if got := p.request.Header[name]; !slices.Equal(got, values) {
			c.Errorf("field %s of the request: got %q, want %q", name, got, values)
		}
	}
}

func responseFields(c *call) {
	sent := http.Header{
		"Set-Cookie":  {"a=1; Path=/", "b=2"},
		"X-Served-By": {"here"},
	}
	s := c.serve(options{header: sent}, nil)
	p := c.join(s, s.url, options{})
	want(c, "the status says that protocols are switched", p.response.StatusCode, http.StatusSwitchingProtocols)
	for name, values := range sent {
		if !c.role.server && c.library.oneValuePerField {
			values = values[:1]
		}
		if got := p.response.Header[name]; !slices.Equal(got, values) {
			c.Errorf("field %s of the response: got %q, want %q", name, got, values)
		}
	}
}

// refused has the server's application refuse the request, and the client read
// why.
func (c *call) refused(status int) {
	c.Helper()
	s := c.serve(options{}, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Bearer realm="interop"`)
		http.Error(w, "you may not", status)
		return true
	})
	response := c.wantRefusal(s, options{}, status)
	want(c, "a field of the response arrives", response.Header.Get("WWW-Authenticate"), `Bearer realm="interop"`)
	if c.role.server { // DialOptions documents that the body is empty for us
		body, err := io.ReadAll(response.Body)
		if err != nil {
			c.Error(err)
		}
		want(c, "the body arrives", string(body), "you may not\n")
	}
}

// refusedOrigin has the server's library refuse the page that asks.
// https://www.rfc-editor.org/rfc/rfc6455.html#section-10.2
func refusedOrigin(c *call) {
	s := c.serve(options{}, nil)
	o := options{header: http.Header{"Origin": {"https://evil.example"}}}
	if !c.role.server && c.library.acceptsAnyOrigin {
		c.join(s, s.url, o)
		return
	}
	c.wantRefusal(s, o, http.StatusForbidden)
}

// wantRefusal dials s, which refuses.
func (c *call) wantRefusal(s *server, o options, status int) *http.Response {
	c.Helper()
	_, response, err := c.dialling().dial(c.ctx, s.url, s.roots, o)
	if err == nil || response == nil {
		c.Fatalf("got response %v and error %v, want a refusal with both", response, err)
	}
	want(c, "the status arrives", response.StatusCode, status)
	if !c.role.server {
		var he *host.HandshakeError
		if !errors.As(err, &he) || he.Status != status {
			c.Errorf("got error %v, want a HandshakeError with the status", err)
		}
	}
	return response
}
