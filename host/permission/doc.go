// Package permission decides which hosts and addresses a guest may reach or listen on,
// and which pages a server talks to. It resolves nothing, opens nothing and depends on
// the standard library only.
//
// A List is made of the values of --allow-net and --deny-net, never changes, and gives
// verdicts with reasons. It is asked twice about a connection: CheckTarget before the
// host is resolved, and CheckAddr for each address that the host resolved to and for the
// address of the connected peer. Both must allow.
//
// A Grant is a List in use. It records decisions, asks a prompt where the List is
// silent, limits connections, dials and bytes, and can be changed or revoked while
// connections are open.
//
// Origins are the origins of pages that may connect to a server.
//
// # Rules
//
//	example.com              a host, any port
//	example.com:443          a host, one port
//	example.com:80+8000-8010 a host, several ports: ports and ranges joined by +
//	*.example.com            example.com and its sub-domains at any depth
//	192.0.2.1                an IPv4 address
//	[2001:db8::1]:443        an IPv6 address, always in brackets
//	10.0.0.0/8:443           a range of IPv4 addresses
//	[2001:db8::/32]:443      a range of IPv6 addresses; also [2001:db8::]/32:443
//	:8080                    localhost, 127.0.0.1, [::1] and 0.0.0.0, on that port
//	loopback                 127.0.0.0/8 and ::1
//	private                  RFC 1918 and unique local addresses, and fec0::/10
//	link-local               169.254.0.0/16 and fe80::/10
//
// Every form but the bare port takes ports or leaves them out. Rules are joined by
// commas; the plus sign joins ports because it means nothing to rules, brackets or
// shells. Host names are ASCII in any case (A-labels: xn--…), and one trailing dot
// makes no difference. Hosts called loopback, private, link-local, unix or vsock are
// named with their sub-domains (*.private).
//
// Refused are URLs, user names, paths, unix: and vsock: addresses, zone ids, a lone *,
// and numbers that only some parsers read as addresses (127.1, 0x7f.1, 2130706433). As
// the host to dial these are refused as well, whatever the rules say.
//
// # Which rule decides
//
// A deny rule that matches wins, before and after resolution, however specific an
// allow rule is. Among rules of one effect the most specific is the one that a verdict
// shows: fewer ports first, then a host or address before a range, and a narrow range
// before a wide one.
//
// A rule for names never matches an address literal, and a rule for addresses never
// matches a name before it is resolved: 127.0.0.1 does not allow localhost, nor the
// reverse. So beside AllowAll a deny rule for a name leaves its addresses, asked for as
// such, allowed: deny them as well. Of localhost it denies the addresses too.
//
// # Addresses
//
// A rule for a name grants the public addresses that the name resolves to. Any other
// address needs a rule beside it that names the address, a range that contains it, or
// its class word; the rule localhost (or below *.localhost) names the loopback
// addresses for those hosts. AllowAll grants every address. Not public are loopback,
// private, link-local, shared (100.64.0.0/10), multicast, unspecified, cloud metadata,
// benchmarking, documentation and reserved addresses. A range grants all of them that
// it contains: 0.0.0.0/0 grants 127.0.0.1.
//
// Cloud metadata addresses (169.254.169.254, 100.100.100.200, fd00:ec2::254 and
// others) are granted by address or range and by no class word, and denied by the word
// of their range too.
//
// IPv4-mapped IPv6 is IPv4, in rules and in addresses; a range of IPv6 contains no
// IPv4. IPv4-compatible, IPv4-translated, NAT64, 6to4, Teredo and ISATAP addresses are
// judged twice: as they stand and as the IPv4 addresses that they embed. A deny rule for
// either denies, and an embedded address that is not public has to be granted as well.
// 0.0.0.0 and :: are judged as loopback addresses in the same way, because systems
// connect them there.
//
// # Listening
//
// CheckListen takes an address or localhost, and no other name. Allow rules have to
// name the address to bind; what it embeds does not matter, because nothing is sent
// there. Port 0, for which the system chooses, needs a rule without ports or with port
// 0, and any deny rule that covers a port from 1024 denies it.
//
// # Grants
//
// Who dials for a guest does this, and closes the connection where an error comes back:
//
//	lease, err := grant.AcquireDial(ctx, host, port)     counts the dial
//	lease.OnRevoke(func(err error) { … })                ends it, once open with 1008
//	grant.CheckTarget(ctx, host, port).Err()
//	grant.CheckAddr(ctx, host, addr).Err()               each address, then the peer's
//	lease.Opened(ctx, peer)                              the connection is open
//	lease.Count(in, out)                                 each read and write
//	lease.Release()                                      it is closed
//
// Who listens calls CheckListen, AcquireListen for the listener and for each connection
// that it accepts, and then goes on with OnRevoke.
//
// SetList and Revoke count from the moment at which they are called, without a gap: what
// is being dialled is checked by the list that is current when it is connected, and what
// is connected is checked by the new list.
//
// A Quota has a finite default in each field. The rate of dials counts denied ones too,
// so it also limits how much a guest can make a Grant write into a log.
//
// # Prompts
//
// A prompt is asked where a rule is missing, and the rule is named: a name and port, or
// the address that a name resolved to. Answers are those of the reference: yes (y) adds
// the rule, no (n) is remembered, and all (A) allows everything but what deny rules
// match and noes were said to. The same question is put once, however many wait for it,
// and one question at a time. Answers last until SetList.
//
// # Origins
//
// A browser says in the Origin field which page connects, and nothing else keeps a page
// from using its visitor's cookies. A server asks SameOrigin, then its Origins. See
// ParseOrigins for the patterns.
//
// # Differences from the reference
//
// The grammar and the meaning are those of Deno's --allow-net and --deny-net, except:
//
//	                                 Deno 2.9                      here
//	allow h:443, deny h              h:443 allowed on the name,    denied at both stages
//	                                 denied on the address
//	resolved addresses               checked against deny rules    against both
//	name to private address          allowed                       needs a rule for the address
//	deny localhost, deny :port       the listed spellings          all loopback addresses too
//	IPv6 ranges                      cannot be written             [v6/nn] and [v6]/nn
//	:port                            0.0.0.0, 127.0.0.1,           and [::1]
//	                                 localhost
//	ports                            one                           ranges and sets
//	class words                      none                          private, loopback, link-local
//	NAT64, 6to4, Teredo              as they stand                 also what they embed
//	0.0.0.0 as a target              as it stands                  also as 127.0.0.1
//	zone ids                         stripped                      refused
//	2130706433 as a target           read as 127.0.0.1             refused: the caller's URL
//	                                                               parser makes it canonical
//	ISATAP                           as it stands                  also what it embeds
//	unix:, vsock:                    supported                     refused
//	revoking                         new connections               open connections too
//	quotas                           none                          connections, dials, bytes
//
// The first row is the choice that the others follow. The reference contradicts itself:
// before resolution the more specific rule decides, after resolution a deny rule always
// does, so that what the first stage allows still fails in the second. Letting deny win
// in both costs one spelling: allow everything and h:443, deny h. Deny every other port
// of h in its place: h:0-442+444-65535.
package permission
