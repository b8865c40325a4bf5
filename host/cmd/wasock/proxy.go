package main

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/wasock/wasock/host"
	"github.com/wasock/wasock/host/dialer"
	"github.com/wasock/wasock/host/permission"
)

// noProxy is the value of --proxy that stands for none.
const noProxy = "none"

// proxyFlags is --proxy.
type proxyFlags struct{ proxy string }

func (f *proxyFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.proxy, "proxy", "", "connect through the proxy with this `URL`, http, https, socks5 or socks5h, to every target; or none (default what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say)")
}

// choose returns which proxy a target is reached through.
func (f *proxyFlags) choose() (host.ProxyFunc, error) {
	switch f.proxy {
	case "":
		return dialer.ProxyFromEnvironment(), nil
	case noProxy:
		return nil, nil
	}
	u, err := dialer.ParseProxy(f.proxy)
	if err != nil {
		return nil, usage("--proxy: %w", err) // it holds nothing of the URL
	}
	return dialer.ProxyURL(u), nil
}

// A proxyServer is a proxy that the operator named.
type proxyServer struct {
	url  *url.URL
	host string
	port uint16
}

// newProxyServer returns the proxy at u, which the dialer has parsed or will refuse.
func newProxyServer(u *url.URL) *proxyServer {
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		port = 1080 // SOCKS
	}
	return &proxyServer{u, u.Hostname(), uint16(port)}
}

// String returns the URL without credentials.
func (p *proxyServer) String() string {
	return p.url.Scheme + "://" + net.JoinHostPort(p.host, strconv.Itoa(int(p.port)))
}

// is reports whether e is about p itself.
func (p *proxyServer) is(e *host.PermissionError) bool {
	v := (*permission.List)(nil).CheckTarget(p.host, p.port)
	return e.Target == v.Target && e.Port == v.Port
}

// rules returns the rules that allow p because it was named: its host and port and,
// since most proxies stand in the network that they lead out of, the private and
// loopback addresses that the host has now. A host that does not resolve is the
// dial's to report.
func (p *proxyServer) rules(ctx context.Context, r dialer.Resolver) ([]string, error) {
	rule, err := ruleFor(p.host, p.port)
	if err != nil {
		return nil, err
	}
	rules := []string{rule}
	if _, err := netip.ParseAddr(p.host); err == nil {
		return rules, nil
	}
	near, err := permission.Parse([]string{"private", "loopback"}, nil)
	if err != nil {
		panic("BUG: class words are no rules: " + err.Error())
	}
	addrs, err := r.LookupNetIP(ctx, "ip", p.host)
	if err != nil {
		return rules, nil
	}
	for _, a := range addrs {
		if a = a.Unmap(); near.CheckTarget(a.String(), p.port).Allowed {
			rules = append(rules, netip.AddrPortFrom(a, p.port).String())
		}
	}
	return rules, nil
}
