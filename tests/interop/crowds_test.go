package interop

import (
	"errors"
	"fmt"
	"sync"
)

// crowds are conversations of many.
var crowds = []conversation{
	{"50 connections of 200 messages", func(c *call) {
		s := c.serve(options{}, nil)
		var all sync.WaitGroup
		failed := make(chan error, 2*50)
		for i := range 50 {
			all.Go(func() { failed <- c.askMany(s, i, 200) })
			all.Go(func() { failed <- c.echoMany(s, 200) })
		}
		all.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				c.Error(err)
			}
		}
	}},
	{"1000 messages each way at once", func(c *call) {
		p := c.greeted(options{})
		var all sync.WaitGroup
		failed := make(chan error, 2)
		for _, way := range p.ways() {
			all.Go(func() {
				for i := range 1000 {
					if err := way.from.send(c.ctx, binary, binaryOf(i)); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		all.Wait()
		for _, way := range p.ways() {
			for i := range 1000 {
				c.wantMessage(way.name, way.to, binary, binaryOf(i))
			}
		}
		select {
		case err := <-failed:
			c.Error(err)
		default:
		}
	}},
	{"8 MiB each way at once", func(c *call) {
		payload := binaryOf(8 << 20)
		p := c.greeted(options{partLimit: len(payload)/gorillaFrame + 1})
		var all sync.WaitGroup
		for _, way := range p.ways() {
			all.Go(func() { _ = way.from.send(c.ctx, binary, payload) }) // that it failed shows below
		}
		all.Wait()
		for _, way := range p.ways() {
			c.wantMessage(way.name, way.to, binary, payload)
		}
	}},
}

// greeted opens a connection and lets them speak first: what we send before that
// is another conversation's, "8 MiB from us at once".
func (c *call) greeted(ours options) *pair {
	c.Helper()
	p := c.open(ours, options{})
	c.must("send", p.theirs.send(c.ctx, text, []byte("welcome")))
	c.wantMessage("they speak first", p.ours, text, []byte("welcome"))
	return p
}

// askMany dials s, sends messages that nobody else sends, and checks that they
// come back in order.
func (c *call) askMany(s *server, id, count int) error {
	client, _, err := c.dialling().dial(c.ctx, s.url, s.roots, options{})
	if err != nil {
		return err
	}
	c.Cleanup(client.drop)
	message := func(i int) []byte { return fmt.Appendf(nil, "message %d of client %d", i, id) }
	for i := range count {
		if err := client.send(c.ctx, text, message(i)); err != nil {
			return err
		}
	}
	for i := range count {
		got, err := client.received().next(c.ctx)
		if err != nil {
			return err
		}
		if want := (event{kind: text, payload: message(i)}); !got.equal(want) {
			return fmt.Errorf("client %d:\n got %v %q\nwant %q", id, got, got.payload, want.payload)
		}
	}
	return client.close(1000, "")
}

// echoMany sends back the messages of one connection that s accepts.
func (c *call) echoMany(s *server, count int) error {
	var end accepted
	select {
	case end = <-s.accepted:
	case <-c.ctx.Done():
		return errors.New("a connection was not accepted")
	}
	c.Cleanup(end.drop)
	for range count {
		ev, err := end.received().next(c.ctx)
		if err != nil {
			return err
		}
		if err := end.send(c.ctx, ev.kind, ev.payload); err != nil {
			return err
		}
	}
	_, err := end.received().next(c.ctx) // its Close frame
	return err
}
