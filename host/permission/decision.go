package permission

import (
	"context"
	"log/slog"
	"net/netip"
)

// A Decision is what a Grant decided, for those who keep records.
type Decision struct {
	Grant   string // GrantOptions.Name
	Verdict Verdict

	// Prompted says that the prompt was asked about this, and answered.
	Prompted bool

	// Err is nil if the verdict allows, an *Error if it denies, a *QuotaError where a
	// quota decided, and a *RevokedError where a change of the list ended something
	// that was open.
	Err error
}

// recording reports whether anybody wants to know of decisions. Whoever does pays for
// their errors and text.
func (g *Grant) recording() bool { return g.logger != nil || g.onDecision != nil }

// record hands d to the logger and the hook. g.mu is not held.
func (g *Grant) record(ctx context.Context, d Decision, more ...slog.Attr) {
	if g.logger != nil {
		if level := d.level(); g.logger.Enabled(ctx, level) {
			g.logger.LogAttrs(ctx, level, "websocket: permission "+d.word(), append(d.attrs(), more...)...)
		}
	}
	g.notify(d)
}

func (g *Grant) notify(d Decision) {
	if g.onDecision != nil {
		g.onDecision(d)
	}
}

func (d *Decision) revoked() bool {
	_, revoked := d.Err.(*RevokedError)
	return revoked
}

func (d *Decision) word() string {
	switch {
	case d.revoked():
		return "revoked"
	case d.Verdict.Allowed:
		return "allowed"
	default:
		return "denied"
	}
}

func (d *Decision) level() slog.Level {
	switch {
	case d.revoked(), d.Verdict.Allowed && d.Prompted:
		return slog.LevelInfo
	case d.Verdict.Allowed:
		return slog.LevelDebug
	default:
		return slog.LevelWarn
	}
}

// attrs returns what is known of d. Attributes that say nothing are left out.
func (d *Decision) attrs() []slog.Attr {
	v := &d.Verdict
	attrs := []slog.Attr{
		slog.String("grant", d.Grant),
		slog.String("operation", v.Operation),
		slog.String("target", v.Target),
		slog.Int("port", int(v.Port)),
	}
	if v.Addr.IsValid() {
		attrs = append(attrs, slog.String("address", netip.AddrPortFrom(v.Addr.Addr().Unmap(), v.Addr.Port()).String()))
	}
	attrs = append(attrs, slog.String("verdict", d.word()))
	if v.Rule != nil {
		attrs = append(attrs, slog.String("rule", v.Rule.option()))
	}
	for _, a := range []slog.Attr{slog.String("needs", v.needs), slog.String("reason", v.Reason)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if d.Prompted {
		attrs = append(attrs, slog.Bool("prompted", true))
	}
	return attrs
}
