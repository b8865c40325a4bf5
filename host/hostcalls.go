package host

import (
	"context"
	"crypto/rand"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/net/idna"

	"github.com/wasock/wasock/hostcalls"
)

// instantiateHostcalls provides the functions that the engine imports, in the
// order of hostcalls/ABI.md §6. What the guest passes is untrusted: it is
// checked, read once, and the copy is used.
//
// They are GoModuleFuncs: WithFunc, by reflection, costs ten times as much.
func instantiateHostcalls(ctx context.Context, r *engineRuntime) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	b := r.NewHostModuleBuilder(hostcalls.Module)
	for _, f := range []struct {
		name   string
		call   func(*instance, []uint64) int32
		params []api.ValueType

		refusal int32 // outside a call for a connection
	}{
		{"stream_connect", (*instance).streamConnect, []api.ValueType{i32, i32, i32, i32, i32}, int32(hostcalls.ENOTSUP)},
		{"stream_write", (*instance).streamWrite, []api.ValueType{i32, i32, i32}, int32(hostcalls.ENOTSUP)},
		{"stream_close", (*instance).streamClose, []api.ValueType{i32, i32}, int32(hostcalls.ENOTSUP)},
		{"timer_set", (*instance).timerSet, []api.ValueType{i32, i64}, int32(hostcalls.ENOTSUP)},
		{"random_get", (*instance).randomGet, []api.ValueType{i32, i32}, int32(hostcalls.ENOTSUP)},
		{"host_to_ascii", (*instance).hostToASCII, []api.ValueType{i32, i32, i32, i32}, hostcalls.ENOTSUP.Ret()},
	} {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			inst, ok := ctx.(*instance)
			if !ok { // a module is initialised in another context, and asks for nothing then
				stack[0] = uint64(uint32(f.refusal))
				return
			}
			stack[0] = uint64(uint32(f.call(inst, stack)))
		}), f.params, []api.ValueType{i32}).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// maxHostLen is the longest host that a URL can name: a domain, with some room
// for the brackets of an IPv6 address.
const maxHostLen = 255

func (inst *instance) streamConnect(p []uint64) int32 {
	c := inst.current
	if c == nil || c.target != nil || c.handle != 0 {
		return int32(hostcalls.ESTATE)
	}
	h, n, port, flags := uint32(p[0]), uint32(p[2]), uint32(p[3]), uint32(p[4])
	if n == 0 || n > maxHostLen || port > 0xffff || flags&^hostcalls.FlagTLS != 0 || h == 0 || inst.conns[h] != nil {
		return int32(hostcalls.EINVAL)
	}
	name, ok := inst.memory.Read(uint32(p[1]), n)
	if !ok {
		return int32(hostcalls.EFAULT)
	}
	t := &target{host: string(name), port: uint16(port), tls: flags&hostcalls.FlagTLS != 0}
	if !t.valid() {
		return int32(hostcalls.EINVAL)
	}
	c.target = t // Dial checks it: somebody may have to be asked
	return int32(hostcalls.OK)
}

func (inst *instance) streamWrite(p []uint64) int32 {
	c, l := inst.current, inst.lane
	if !inst.mayUse(c, uint32(p[0])) || l == nil {
		return int32(hostcalls.EBADF)
	}
	const maxSegments = 1024
	count := uint32(p[2])
	if count > maxSegments || len(l.out)+int(count) > maxSegments {
		return int32(hostcalls.EINVAL)
	}
	records, ok := inst.memory.Read(uint32(p[1]), count*hostcalls.SegmentSize)
	if !ok {
		return int32(hostcalls.EFAULT)
	}
	before := len(l.out)
	for ; len(records) > 0; records = records[hostcalls.SegmentSize:] {
		s := hostcalls.ConsumeSegment(records)
		b, ok := inst.memory.Read(s.Ptr, s.Len)
		if !ok {
			l.out = l.out[:before]
			return int32(hostcalls.EFAULT)
		}
		l.out = append(l.out, b)
	}
	return int32(hostcalls.OK)
}

func (inst *instance) streamClose(p []uint64) int32 {
	c, how := inst.current, uint32(p[1])
	switch {
	case !inst.mayUse(c, uint32(p[0])):
		return int32(hostcalls.EBADF)
	case how != hostcalls.CloseWrite && how != hostcalls.CloseBoth:
		return int32(hostcalls.EINVAL)
	}
	c.closeHow = max(c.closeHow, uint8(how))
	return int32(hostcalls.OK)
}

func (inst *instance) timerSet(p []uint64) int32 {
	c := inst.current
	if !inst.mayUse(c, uint32(p[0])) {
		return int32(hostcalls.EBADF)
	}
	c.deadline = int64(p[1])
	return int32(hostcalls.OK)
}

func (inst *instance) randomGet(p []uint64) int32 {
	const maxRandom = 64 << 10
	n := uint32(p[1])
	if n > maxRandom {
		return int32(hostcalls.EINVAL)
	}
	b, ok := inst.memory.Read(uint32(p[0]), n)
	if !ok {
		return int32(hostcalls.EFAULT)
	}
	_, _ = rand.Read(b) // never fails: https://pkg.go.dev/crypto/rand#Read
	return int32(hostcalls.OK)
}

// domainProfile is domain-to-ASCII of https://url.spec.whatwg.org/#concept-domain-to-ascii,
// not strict.
var domainProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(),
	idna.CheckHyphens(false), idna.CheckJoiners(true), idna.StrictDomainName(false), idna.VerifyDNSLength(false))

func (inst *instance) hostToASCII(p []uint64) int32 {
	n, room := uint32(p[1]), uint32(p[3])
	if n == 0 || n > 4*maxHostLen {
		return hostcalls.EINVAL.Ret()
	}
	name, ok := inst.memory.Read(uint32(p[0]), n)
	if !ok {
		return hostcalls.EFAULT.Ret()
	}
	ascii, err := domainProfile.ToASCII(string(name))
	if err != nil || ascii == "" || len(ascii) > maxHostLen {
		return hostcalls.EINVAL.Ret()
	}
	if len(ascii) > int(room) {
		return hostcalls.EFULL.Ret()
	}
	if !inst.memory.WriteString(uint32(p[2]), ascii) {
		return hostcalls.EFAULT.Ret()
	}
	return int32(len(ascii))
}

// mayUse reports whether a hostcall of the call in progress may use the
// connection h: it is the one that the call is for.
func (inst *instance) mayUse(c *Conn, h uint32) bool {
	return c != nil && (c.handle == h || c.handle == 0)
}
