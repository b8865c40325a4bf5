package permission_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"

	"github.com/wasock/wasock/host/permission"
)

// A dialler asks about the name, resolves it once, asks about each address, and dials
// only the addresses that pass.
func Example() {
	list, err := permission.Parse([]string{"*.example.com:443"}, nil)
	if err != nil {
		panic(err)
	}
	if err := list.CheckTarget("api.example.com", 443).Err(); err != nil {
		panic(err)
	}
	for _, resolved := range []string{"93.184.215.14:443", "127.0.0.1:443"} {
		v := list.CheckAddr("api.example.com", netip.MustParseAddrPort(resolved))
		fmt.Println(resolved, v.Allowed, v.Explain())
	}
	// Output:
	// 93.184.215.14:443 true allowed by --allow-net=*.example.com:443
	// 127.0.0.1:443 false resolves to 127.0.0.1, a loopback address: needs --allow-net=127.0.0.1:443
}

func ExampleParse() {
	_, err := permission.Parse([]string{"https://example.com/feed"}, nil)
	fmt.Println(err)
	// Output:
	// invalid rule "https://example.com/feed": a rule is a host, not a URL: write example.com:443
}

func ExampleAllowAll() {
	list, err := permission.AllowAll("private", "169.254.169.254")
	if err != nil {
		panic(err)
	}
	fmt.Println(list.CheckTarget("127.0.0.1", 8080).Explain())
	fmt.Println(list.CheckTarget("169.254.169.254", 80).Explain())
	// Output:
	// allowed by --allow-net
	// denied by --deny-net=169.254.169.254
}

func ExampleVerdict_Err() {
	list, err := permission.Parse([]string{"example.com:443"}, nil)
	if err != nil {
		panic(err)
	}
	err = list.CheckTarget("example.com", 80).Err()
	fmt.Println(err)

	var denied *permission.Error
	if errors.As(err, &denied) {
		fmt.Println(denied.Needs)
	}
	// Output:
	// websocket: dial example.com:80 is not permitted: needs --allow-net=example.com:80
	// example.com:80
}

func ExampleList_CheckListen() {
	list, err := permission.Parse([]string{":8080"}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(list.CheckListen("127.0.0.1", 8080).Explain())
	fmt.Println(list.CheckListen("127.0.0.1", 0).Explain())
	// Output:
	// allowed by --allow-net=:8080
	// needs --allow-net=127.0.0.1:0
}

// A host dials for its guest: it acquires a lease, checks, and from then on the grant
// can take the connection back.
func ExampleGrant() {
	ctx := context.Background()
	list, err := permission.Parse([]string{"example.com:443"}, nil)
	if err != nil {
		panic(err)
	}
	grant := permission.NewGrant(list, &permission.GrantOptions{
		Name:  "chat",
		Quota: permission.Quota{Connections: 1, BytesIn: 1 << 20},
	})

	lease, err := grant.AcquireDial(ctx, "example.com", 443)
	if err != nil {
		panic(err)
	}
	defer lease.Release()
	peer := netip.MustParseAddrPort("93.184.215.14:443")
	for _, v := range []permission.Verdict{
		grant.CheckTarget(ctx, "example.com", 443),
		grant.CheckAddr(ctx, "example.com", peer), // and now it dials peer
	} {
		fmt.Println(v.Explain())
	}
	if err := lease.Opened(ctx, peer); err != nil {
		panic(err)
	}
	lease.OnRevoke(func(err error) { fmt.Println("close with 1008:", err) })
	fmt.Println(lease.Count(1000, 200), lease.Count(1<<20, 0))

	_, err = grant.AcquireDial(ctx, "example.com", 443)
	fmt.Println(err)
	grant.Revoke()
	// Output:
	// allowed by --allow-net=example.com:443
	// allowed by --allow-net=example.com:443
	// <nil> websocket: dial example.com:443: grant "chat" has used up BytesIn: 1048576 bytes is all for its lifetime: make a new grant with more
	// websocket: dial example.com:443: grant "chat" has used up Connections: 1 are open: release one, or raise it
	// close with 1008: websocket: permission revoked: dial example.com:443 is not permitted: the grant was revoked
}

func ExampleGrant_SetList() {
	ctx := context.Background()
	grant, err := permission.Allow("127.0.0.1:8080", "127.0.0.1:9090")
	if err != nil {
		panic(err)
	}
	for _, port := range []uint16{8080, 9090} {
		lease, err := grant.AcquireListen(ctx, "127.0.0.1", port)
		if err != nil {
			panic(err)
		}
		defer lease.Release()
		lease.OnRevoke(func(err error) { fmt.Println(err) })
	}
	list, err := permission.Parse([]string{"127.0.0.1:9090"}, nil)
	if err != nil {
		panic(err)
	}
	grant.SetList(list)
	// Output:
	// websocket: permission revoked: listen 127.0.0.1:8080 is not permitted: needs --allow-net=127.0.0.1:8080
}

// A command that has a terminal asks there.
func ExampleGrantOptions_prompt() {
	grant := permission.NewGrant(nil, &permission.GrantOptions{
		Prompt: func(_ context.Context, v permission.Verdict) (permission.Answer, error) {
			fmt.Printf("%s %s: %s? [y/n/A]\n", v.Operation, v.Target, v.Explain())
			return permission.AnswerAllow, nil
		},
	})
	for range 2 {
		fmt.Println(grant.CheckTarget(context.Background(), "example.com", 443).Explain())
	}
	// Output:
	// dial example.com: needs --allow-net=example.com:443? [y/n/A]
	// allowed when asked, as by --allow-net=example.com:443
	// allowed when asked, as by --allow-net=example.com:443
}

func ExampleParseOrigins() {
	origins, err := permission.ParseOrigins("https://example.com", "https://*.example.org")
	if err != nil {
		panic(err)
	}
	fmt.Println(origins.Allows("https://example.com:443"))
	fmt.Println(origins.Allows("https://app.example.org"))
	fmt.Println(origins.Allows("https://evil-example.org"))

	_, err = permission.ParseOrigins("example.com")
	fmt.Println(err)
	// Output:
	// true
	// true
	// false
	// invalid origin "example.com": an origin begins with a scheme and ://: write https://example.com
}

func ExampleSameOrigin() {
	request := httptest.NewRequest("GET", "https://example.com/chat", nil)
	scheme := ""
	if request.TLS != nil {
		scheme = "https"
	}
	for _, origin := range []string{"https://example.com", "https://example.com:8443", "null"} {
		fmt.Println(permission.SameOrigin(origin, scheme, request.Host))
	}
	// Output:
	// true
	// false
	// false
}
