// Package extendedconnect_test is external: the package itself must not depend on
// net/http, or it would be initialised after it.
package extendedconnect_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/net/http2"

	_ "github.com/wasock/wasock/host/extendedconnect"
)

// Both servers announce Extended CONNECT because the package was initialised before
// theirs. It fails with a release of Go or x/net that changes that.
func TestServersAnnounceExtendedConnect(t *testing.T) {
	for name, configure := range serverOf {
		if !announces(t, configure) {
			t.Errorf("the server of %s does not announce it", name)
		}
	}
}

// What the environment says of the setting stands, and what it says of others
// stays. Each line is a process of its own, since servers look once.
func TestEnvironment(t *testing.T) {
	const child = "WASOCK_TEST_ANNOUNCES"
	if want := os.Getenv(child); want != "" {
		if got := strconv.FormatBool(announces(t, serverOf["net/http"])); got != want {
			t.Errorf("with GODEBUG=%s Extended CONNECT is announced: %s, want %s", os.Getenv("GODEBUG"), got, want)
		}
		return
	}
	for godebug, want := range map[string]bool{
		"": true, "madvdontneed=1": true, "madvdontneed=1,http2debug=0": true, "http2xconnect=1": true, ",": true,
		"http2xconnect=0": false, "madvdontneed=1,http2xconnect=0": false, "http2xconnect=0,madvdontneed=1": false,
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironment$")
		cmd.Env = append(os.Environ(), "GODEBUG="+godebug, child+"="+strconv.FormatBool(want))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// serverOf are the servers that serve Extended CONNECT.
var serverOf = map[string]func(*testing.T, *httptest.Server){
	"net/http": func(_ *testing.T, s *httptest.Server) { s.EnableHTTP2 = true },
	"x/net/http2": func(t *testing.T, s *httptest.Server) {
		//lint:ignore SA1019 it is what users have who configured HTTP/2 before net/http could
		if err := http2.ConfigureServer(s.Config, &http2.Server{}); err != nil {
			t.Fatal(err)
		}
		s.TLS = s.Config.TLSConfig
	},
}

// announces reports whether a server's SETTINGS have
// SETTINGS_ENABLE_CONNECT_PROTOCOL.
func announces(t *testing.T, configure func(*testing.T, *httptest.Server)) bool {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	configure(t, s)
	s.StartTLS()
	defer s.Close()
	nc, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	if _, err := nc.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(nc, nc)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := f.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v, want SETTINGS", frame.Header())
	}
	v, ok := settings.Value(http2.SettingEnableConnectProtocol)
	return ok && v == 1
}
