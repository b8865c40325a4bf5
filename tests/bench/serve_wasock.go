package main

import "net"

// wasockInProcess serves wasock from this program, like the other columns. It
// is nil until package host can: the column then needs the flag -wasock, which
// names a command that listens on a loopback address, writes its ws:// URL to
// its standard output or error and echoes every message in one frame.
var wasockInProcess func(net.Listener) error
