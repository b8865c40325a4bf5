package peers

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasock/wasock/host"
)

// A proxy is between our client and our server.
type proxy struct {
	row string
	// configure returns a configuration that listens at a port and goes on to a
	// server, and args what the program is told about the file.
	configure func(dir string, port int, server string, creds *credentials) string
	tool      tool
	args      func(dir, file string) []string

	front   []column // how our client goes to it
	behind  host.HTTPVersion
	encrypt bool // TLS behind as well
}

var proxies = []proxy{
	{
		row: "nginx, HTTP/1.1 behind: both", tool: nginxTool, configure: nginxPlain, args: nginxArgs,
		front: []column{{false, host.HTTP1}}, behind: host.HTTP1,
	},
	{
		row: "nginx, HTTP/1.1 behind: both", tool: nginxTool, configure: nginxTLS, args: nginxArgs,
		front: []column{{true, host.HTTP1}}, behind: host.HTTP1,
	},
	{
		row: "haproxy, HTTP/1.1 behind: both", tool: haproxyTool, args: haproxyArgs,
		configure: haproxy("", ""), front: []column{{false, host.HTTP1}}, behind: host.HTTP1,
	},
	{
		row: "haproxy, HTTP/1.1 behind: both", tool: haproxyTool, args: haproxyArgs,
		configure: haproxy("proto h2", ""), front: []column{{false, host.HTTP2}}, behind: host.HTTP1,
	},
	{
		row: "haproxy, HTTP/1.1 behind: both", tool: haproxyTool, args: haproxyArgs,
		configure: haproxy("ssl crt CERT alpn h2,http/1.1", ""), behind: host.HTTP1,
		front: []column{{true, host.HTTP1}, {true, host.HTTP2}},
	},
	{
		row: "haproxy, HTTP/2 behind: both", tool: haproxyTool, args: haproxyArgs,
		configure: haproxy("", "ssl verify required ca-file CA alpn h2 ws h2"), encrypt: true, behind: host.HTTP2,
		front: []column{{false, host.HTTP1}},
	},
	{
		row: "haproxy, HTTP/2 behind: both", tool: haproxyTool, args: haproxyArgs,
		configure: haproxy("ssl crt CERT alpn h2,http/1.1", "ssl verify required ca-file CA alpn h2 ws h2"), encrypt: true, behind: host.HTTP2,
		front: []column{{true, host.HTTP1}, {true, host.HTTP2}},
	},
}

// TestProxies has our client talk with our server through proxies.
func TestProxies(t *testing.T) {
	creds := newCredentials(t)
	for _, p := range proxies {
		t.Run(p.row, func(t *testing.T) {
			program := need(t, p.row, p.tool)
			var behind *credentials
			if p.encrypt {
				behind = creds
			}
			s := serveOurs(t, behind, p.behind)
			port, dir := freePort(t), t.TempDir()
			file := write(t, dir, "configuration", []byte(p.configure(dir, port, s.authority, creds)))
			start(t, nil, program, p.args(dir, file)...).accepts(t, port)
			for _, c := range p.front {
				(&session{
					pairing: pairing{p.row, c}, url: fmt.Sprintf("%s://%s", c.scheme(), address(port)),
					config: creds.clientTLS(), endings: &s.endings, backend: p.behind,
				}).hold(t)
			}
		})
	}
}

// haproxy returns a configuration. In what bind and server say of TLS, CERT and CA
// are the names of files.
func haproxy(bind, server string) func(string, int, string, *credentials) string {
	return func(_ string, port int, authority string, creds *credentials) string {
		files := strings.NewReplacer("CERT", creds.both, "CA", creds.ca)
		return fmt.Sprintf(`
global
	maxconn 256
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
	timeout tunnel 60s
frontend front
	bind %s %s
	default_backend ours
backend ours
	server ours %s %s
`, address(port), files.Replace(bind), authority, files.Replace(server))
	}
}

func haproxyArgs(_, file string) []string { return []string{"-db", "-f", file} }

// nginx has the fields of an upgrade as everybody's configuration writes them.
const nginxConfiguration = `
daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s%[3]s;
		location / {
			proxy_pass http://%[4]s;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
		}
	}
}
`

func nginxPlain(dir string, port int, server string, _ *credentials) string {
	return fmt.Sprintf(nginxConfiguration, dir, address(port), "", server)
}

func nginxTLS(dir string, port int, server string, creds *credentials) string {
	return fmt.Sprintf(nginxConfiguration, dir, address(port),
		fmt.Sprintf(" ssl;\n\t\tssl_certificate %s;\n\t\tssl_certificate_key %s", creds.cert, creds.key), server)
}

func nginxArgs(dir, file string) []string {
	return []string{"-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", file}
}
