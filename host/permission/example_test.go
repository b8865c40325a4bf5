package permission_test

import (
	"errors"
	"fmt"
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
