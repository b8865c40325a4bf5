package dialer

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// secure does the TLS handshake with the target over conn, and closes conn if it fails.
func (g *dialing) secure(ctx context.Context, conn net.Conn, protocols []string) (net.Conn, error) {
	cfg := &tls.Config{}
	if g.TLS != nil {
		cfg = g.TLS.Clone()
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, g.target.name)
	cfg.NextProtos = protocols
	if g.insecure() {
		cfg.InsecureSkipVerify = true
		g.logger().Warn("websocket: TLS certificate is not verified", "target", g.target.String())
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(g.TLSTimeout, 10*time.Second))
	defer cancel()
	tc := tls.Client(conn, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, g.fail(stepTLS, &g.target, err)
	}
	return tc, nil
}

// insecure reports whether the target is one of InsecureHosts.
func (g *dialing) insecure() bool {
	for _, name := range g.InsecureHosts {
		if strings.EqualFold(strings.Trim(name, "[]"), g.target.name) {
			return true
		}
	}
	return false
}
