package interop

import (
	"net/url"

	"github.com/wasock/wasock/tests/peers/relay"
)

// relay starts a relay in front of s, and returns it and the URL by which to dial s
// through it.
func (c *call) relay(s *server) (*relay.Relay, string) {
	c.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		c.Fatal(err)
	}
	r, err := relay.Listen(u.Host)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = r.Close() })
	u.Host = r.Addr()
	return r, u.String()
}
