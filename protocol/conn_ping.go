package protocol

// keepalive is the state of pings, pongs and the idle timeout.
type keepalive struct {
	lastHeard Time // when data or a Pong last arrived
	pinged    bool // since then, the Ping that asks for one fell due
	pingedAt  Time // when it did
	pingDue   bool // it waits until a frame may go

	awaited int // Pings of ours that have no Pong yet

	windowStart Time // of the control frames that are counted
	controls    int
}

func (k *keepalive) open(now Time) { k.lastHeard, k.windowStart = now, now }

// heard notes that the peer is there.
func (k *keepalive) heard(now Time) { k.lastHeard, k.pinged, k.pingDue = now, false, false }

// resume starts the idle time anew if the receiver had no credit: the silence
// was ours.
func (k *keepalive) resume(now Time, hadNone bool) {
	if hadNone {
		k.heard(now)
	}
}

// countControl counts a Ping or Pong frame against ControlLimit.
//
// A Pong that answers a Ping of ours is not counted: how many there are is up to
// us.
func (k *keepalive) countControl(now Time, op Opcode, cfg *Config) error {
	if op == OpPong && k.awaited > 0 {
		k.awaited--
		return nil
	}
	if now-k.windowStart >= Time(cfg.ControlWindow) {
		k.windowStart, k.controls = now, 0
	}
	if k.controls++; k.controls > cfg.ControlLimit {
		return &LimitError{CodePolicyViolation, "ControlLimit", uint64(cfg.ControlLimit), uint64(k.controls)}
	}
	return nil
}

// receivePing answers a Ping: at once, or with the latest one's payload when the
// transport takes more again. RFC 6455 §5.5.2, §5.5.3.
func (c *Conn) receivePing(payload []byte) {
	if c.state != StateOpen {
		return // RFC 6455 §5.5.1: nothing follows our Close frame
	}
	if c.out.blocked || c.out.rest > 0 || c.OutputLen() >= c.cfg.SendLimit {
		c.out.pong = append(c.out.pong[:0], payload...)
		c.out.pongDue = true
		return
	}
	c.out.pongDue = false // this one answers for those before it
	c.out.b = c.appendFrame(c.output(), OpPong, true, 0, payload)
}

// sendDue sends the Pong and the Ping that waited, if they may go now.
func (c *Conn) sendDue() {
	if c.out.blocked {
		return
	}
	c.sendDuePong()
	if c.alive.pingDue && c.state == StateOpen && c.out.rest == 0 {
		c.alive.pingDue = false
		c.out.b = c.appendFrame(c.output(), OpPing, true, 0, nil)
	}
}

// sendDuePong sends the Pong that waited, if the state still allows it.
func (c *Conn) sendDuePong() {
	if c.out.pongDue && c.state == StateOpen && c.out.rest == 0 {
		c.out.pongDue = false
		c.out.b = c.appendFrame(c.output(), OpPong, true, 0, c.out.pong)
	}
}

// idleDeadline returns when the idle timeout has its next step.
func (c *Conn) idleDeadline() Time {
	if c.cfg.IdleTimeout < 0 || c.in.credit <= 0 {
		return Never
	}
	half := c.cfg.IdleTimeout / 2
	if !c.alive.pinged {
		return c.alive.lastHeard.add(half)
	}
	// From the Ping on, so that a timer that was late leaves time to answer it.
	return c.alive.pingedAt.add(c.cfg.IdleTimeout - half)
}

// idleTimeout sends the Ping, or closes the connection, when that is due.
func (c *Conn) idleTimeout(now Time) {
	switch {
	case now < c.idleDeadline():
	case !c.alive.pinged:
		c.alive.pinged, c.alive.pingedAt, c.alive.pingDue = true, now, true
		c.sendDue()
	default:
		c.drop(CodeGoingAway, idleReason, errIdle, CodeGoingAway)
	}
}

// ReceiverPaused tells c that the application has not been reading until now: the
// idle time begins anew, since the silence was not the peer's.
func (c *Conn) ReceiverPaused(now Time) {
	c.now = now
	c.alive.heard(now)
}

// IsIdle reports whether err is that of a connection whose peer went silent.
func IsIdle(err error) bool { return err == errIdle }

var errIdle = idleError{}

// idleError is the error of a connection whose peer went silent.
type idleError struct{}

func (idleError) Error() string { return idleReason }
