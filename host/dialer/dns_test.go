package dialer

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A nameServer is a DNS server on loopback. Its zone has, by name, addresses or one
// "cname other.test."; "then" separates answers to one question after another, and the
// last stays.
type nameServer struct {
	conn net.PacketConn
	mu   sync.Mutex
	zone map[string][]string // what is left of the answers, by type and name
}

func newNameServer(t *testing.T, zone map[string]string) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, zone: make(map[string][]string)}
	for name, answers := range zone {
		for _, kind := range []string{"TypeA", "TypeAAAA"} {
			s.zone[kind+" "+name+"."] = strings.Split(answers, " then ")
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.serve(t)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return s
}

// resolver is the resolver of package net, with s as its only server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve(t *testing.T) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
			t.Errorf("a question is malformed: %v", err)
			continue
		}
		m.Response, m.Additionals, m.Answers = true, nil, s.answer(m.Questions[0])
		if m.Answers == nil {
			m.RCode = dnsmessage.RCodeNameError
		}
		b, err := m.Pack()
		if err == nil {
			_, err = s.conn.WriteTo(b, from)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// answer returns the records for q, CNAMEs and what they lead to. Without any there is
// no such name; a name without addresses of one kind has an empty list.
func (s *nameServer) answer(q dnsmessage.Question) []dnsmessage.Resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := q.Type.String() + " " + strings.ToLower(q.Name.String())
	answers, ok := s.zone[key]
	if !ok {
		return nil
	}
	if len(answers) > 1 {
		s.zone[key] = answers[1:]
	}
	records := []dnsmessage.Resource{}
	header := func(kind dnsmessage.Type) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: q.Name, Type: kind, Class: q.Class}
	}
	if other, ok := strings.CutPrefix(answers[0], "cname "); ok {
		records = append(records, dnsmessage.Resource{Header: header(dnsmessage.TypeCNAME), Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(other)}})
		s.mu.Unlock()
		more := s.answer(dnsmessage.Question{Name: dnsmessage.MustNewName(other), Type: q.Type, Class: q.Class})
		s.mu.Lock()
		return append(records, more...)
	}
	for _, text := range strings.Fields(answers[0]) {
		switch a := netip.MustParseAddr(text); {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			records = append(records, dnsmessage.Resource{Header: header(q.Type), Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			records = append(records, dnsmessage.Resource{Header: header(q.Type), Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return records
}
