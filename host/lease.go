package host

import (
	"context"
	"errors"

	"github.com/wasock/wasock/host/permission"
)

// Errors of a grant.
type (
	// A PermissionError is a target that the grant does not allow. It names the rule
	// that is missing, or the one that denied.
	PermissionError = permission.Error

	// A QuotaError is a grant that is used up.
	QuotaError = permission.QuotaError

	// A RevokedError is a grant that was taken back while a connection was open.
	RevokedError = permission.RevokedError
)

// leased makes lease what c counts on, until it ends.
func (c *Conn) leased(lease *permission.Lease) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		lease.Release()
	}
	c.lease = lease
}

// lend takes a lease for a dial to c's target. The context that it returns ends when
// the grant is revoked, or the Host ends: see interruption.
func (c *Conn) lend(ctx context.Context) (context.Context, context.CancelCauseFunc, error) {
	lease, err := c.grant.AcquireDial(ctx, c.target.name(), c.target.port)
	if err != nil {
		return nil, nil, err
	}
	c.leased(lease)
	ctx, cancel := context.WithCancelCause(ctx)
	lease.OnRevoke(cancel)
	stop := context.AfterFunc(c.host.ending, func() { cancel(ErrClosed) })
	return ctx, func(err error) { stop(); cancel(err) }, nil
}

// interruption returns why ctx ended if that is a grant that was revoked, or the Host's
// end, and err otherwise.
func interruption(ctx context.Context, err error) error {
	var revoked *RevokedError
	if cause := context.Cause(ctx); err != nil && (cause == ErrClosed || errors.As(cause, &revoked)) {
		return cause
	}
	return err
}

// revoke closes c because of its grant: err is a *RevokedError or a *QuotaError. It
// returns at once: a hook of the grant's that takes it back may run below write, which
// holds mu.
func (c *Conn) revoke(err error) { go c.closeFor(err) }

// closeFor is revoke, and waits for c's locks.
func (c *Conn) closeFor(err error) {
	c.mu.Lock()
	if c.failure == nil {
		c.failure = err
	}
	c.mu.Unlock()
	reason := "permission revoked"
	var quota *QuotaError
	if errors.As(err, &quota) {
		reason = quota.Quota + " is used up"
	}
	_ = c.closeFrame(CodePolicyViolation, reason) // one that is closing already is closed
	if c.stream != nil {
		c.linger()
	}
}

// count counts bytes of the transport against the quota of c's grant, and closes c if
// they do not fit.
func (c *Conn) count(in, out int) {
	if c.lease == nil || c.spent.Load() {
		return
	}
	// What the transport held when c ended is read after the lease was released.
	if err := c.lease.Count(in, out); err != nil && err != permission.ErrReleased && !c.spent.Swap(true) {
		c.revoke(err)
	}
}
