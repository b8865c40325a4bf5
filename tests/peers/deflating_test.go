package peers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/tests/peers/relay"
)

// deflating is a row where both ends compress.
func deflating(row string) string { return strings.Replace(row, ":", ", deflate:", 1) }

// used is the conversation that settles whether they did.
const used = "messages are shorter on the wire"

// wantShorter returns an error unless what passed in each direction is less than half
// of the messages, which were as many; or, of an end that sendsPlain, is not.
func wantShorter(r *relay.Relay, messages int64, sendsPlain bool) error {
	var toServer, toClient int64
	for _, l := range r.Links() {
		toServer += l.ToServer.Bytes()
		toClient += l.ToClient.Bytes()
	}
	if messages == 0 || 2*toClient > messages || (2*toServer > messages) != sendsPlain {
		return fmt.Errorf("of messages of %d bytes each way %d passed to the server and %d to the client, want less than half; to the server more is %t",
			messages, toServer, toClient, sendsPlain)
	}
	return nil
}

// TestServerDeflates has our server, which compresses, talk with clients and browsers
// that do.
func TestServerDeflates(t *testing.T) {
	creds := newCredentials(t)
	for _, cl := range clients {
		row := deflating(cl.row)
		name, _, _ := strings.Cut(cl.row, ":")
		t.Run(name, func(t *testing.T) {
			program := need(t, row, cl.tool)
			if cl.sendsPlain != "" {
				results.lacks(row, cl.sendsPlain)
			}
			for _, c := range cl.deflates {
				p := pairing{row, c}
				t.Run(c.String(), func(t *testing.T) {
					s := serveDeflating(t, creds.forScheme(c), c.version)
					s.plain = cl.offersNothing != ""
					p.hold(t, s, program, append(cl.args(t, creds), p.told(s.authority, creds)...))
					if s.plain {
						p.settle(t, used, cannot(cl.offersNothing))
						return
					}
					p.settle(t, used, wantShorter(s.relay, s.echoed.Load(), cl.sendsPlain != ""))
				})
			}
		})
	}
	for _, b := range browsers {
		row := deflating(b.row)
		name, _, _ := strings.Cut(b.row, ":")
		t.Run(name, func(t *testing.T) {
			program := need(t, row, b.tool)
			for _, c := range []column{{false, host.HTTP1}, {true, host.HTTP2}} {
				p := pairing{row, c}
				t.Run(c.String(), func(t *testing.T) {
					s := serveDeflating(t, creds.forScheme(c), c.version)
					b.hold(t, p, s, program, creds)
					p.settle(t, used, wantShorter(s.relay, s.echoed.Load(), false))
				})
			}
		})
	}
}

// TestClientDeflates has our client, which compresses, talk with hypercorn, whose
// wsproto does.
func TestClientDeflates(t *testing.T) {
	row := deflating(hypercornRow)
	creds := newCredentials(t)
	for _, secure := range []bool{false, true} {
		for _, v := range []host.HTTPVersion{host.HTTP1, host.HTTP2} {
			c := column{secure, v}
			s := startHypercorn(t, row, creds, c.secure)
			r, err := relay.Listen(s.authority)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			s.relay, s.pairing, s.url = r, pairing{row, c}, c.scheme()+"://"+r.Addr()
			s.hold(t)
			s.settle(t, used, wantShorter(r, s.received.Load(), false))
		}
	}
}
