package native

import "github.com/wasock/wasock/protocol"

// Messages returns a Handler that joins the parts of each message for each. p is
// valid until each returns. Other events are left out.
func Messages(each func(op protocol.Opcode, p []byte) error) Handler {
	var message []byte
	return func(ev *protocol.Event) error {
		op := protocol.OpText
		switch ev.Kind {
		case protocol.KindBinary:
			op = protocol.OpBinary
		case protocol.KindText:
		default:
			return nil
		}
		message = append(message, ev.Payload...)
		if !ev.Last {
			return nil
		}
		defer func() { message = message[:0] }()
		return each(op, message)
	}
}
