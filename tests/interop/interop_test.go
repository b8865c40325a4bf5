package interop

import (
	"strings"
	"testing"
)

// libraries are what we talk to. A new one needs a file and its name here.
var libraries = []library{gorillaLibrary, coderLibrary, gwsLibrary}

// roles are what we are in a conversation.
var roles = []role{
	{"client-stream", false, wasockPeer{}},
	{"client-events", false, wasockPeer{events: true}},
	{"server-stream", true, wasockPeer{}},
	{"server-events", true, wasockPeer{events: true}},
}

type role struct {
	name   string
	server bool
	ours   peer
}

// conversations are all that is said. What a peer cannot do skips the
// conversation, with the reason.
var conversations = join(messages, fragments, pings, handshakes, closings, failures, crowds)

// A conversation is what the two ends of a call say to each other.
type conversation struct {
	name string
	hold func(c *call)
}

func join(tables ...[]conversation) (all []conversation) {
	for _, table := range tables {
		all = append(all, table...)
	}
	return all
}

func TestInterop(t *testing.T) {
	startHost(t)
	m := matrix{number: "schemes that passed"}
	for _, conv := range conversations {
		m.conversations = append(m.conversations, conv.name)
	}
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			for _, r := range roles {
				t.Run(r.name, func(t *testing.T) {
					for _, scheme := range []string{"ws", "wss"} {
						t.Run(scheme, func(t *testing.T) { holdAll(t, &m, lib, r, scheme) })
					}
				})
			}
		})
	}
	if testing.Verbose() {
		t.Log("\n" + m.String())
	}
}

// holdAll holds every conversation of one library in one role over one scheme.
func holdAll(t *testing.T, m *matrix, lib library, r role, scheme string) {
	for _, conv := range conversations {
		t.Run(strings.ReplaceAll(conv.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() { m.record(conv.name, lib.name, r.name, t) })
			conv.hold(newCall(t, lib, r, scheme))
		})
	}
}
