package dialer_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

// An http.Client reaches what is allowed, and nothing else.
func Example() {
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound))
	defer server.Close()

	list, err := permission.Parse([]string{"service.test", "loopback"}, nil)
	if err != nil {
		panic(err)
	}
	d := &dialer.Dialer{Permissions: dialer.List(list), Resolver: hosts{}}
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}

	_, err = client.Get(strings.Replace(server.URL, "127.0.0.1", "service.test", 1))
	var denied *permission.Error
	fmt.Println(errors.As(err, &denied), denied)
	// Output:
	// true websocket: dial 169.254.169.254:80 is not permitted: needs --allow-net=169.254.169.254:80
}

// hosts is a Resolver for one name.
type hosts struct{}

func (hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host != "service.test" {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func ExampleParseProxy() {
	list, err := permission.Parse([]string{"example.com:443", "127.0.0.1:9050"}, nil)
	if err != nil {
		panic(err)
	}
	proxy, err := dialer.ParseProxy("socks5h://127.0.0.1:9050")
	if err != nil {
		panic(err)
	}
	d := &dialer.Dialer{Permissions: dialer.List(list), Proxy: dialer.ProxyURL(proxy)}
	_, err = d.Dial(context.Background(), dialer.Target{Host: "other.example", Port: 443, TLS: true})
	fmt.Println(err)
	// Output:
	// websocket: dial other.example:443 is not permitted: needs --allow-net=other.example:443
}

func ExamplePin() {
	cfg, err := dialer.Pin(nil,
		"sha256/KUGJvHj9fMGQbErN6pF5N+CnrE7yx3xGrO1k48lRA6M=",
		"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=") // of the key that will follow
	fmt.Println(cfg.VerifyConnection != nil, err)

	_, err = dialer.Pin(nil, "KUGJvHj9fMGQbErN6pF5N+CnrE7yx3xGrO1k48lRA6M=")
	fmt.Println(err)
	// Output:
	// true <nil>
	// websocket: this is not a pin: write sha256/ and the base64 of 32 bytes, with its =
}
