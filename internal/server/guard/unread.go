package guard

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

// An answer counts as its client's bytes until somebody needs it no longer: a client may call and never read. It stops
// to count when
//
//   - the library has written it, or its stream was reset while it waited: then the buffer is given back;
//   - its connection is over: the library forgets what waits there, without a word, so that the connection is told;
//   - its stream was reset before the library took it: the library drops it likewise, and the call's context tells.
//
// Of what remains (a reset in the instant of a deadline) the garbage collector tells.

// maxCounted is how much of one answer counts, so that there is room for any.
const maxCounted = 32 << 20

// unread are the answers on their way over one connection.
type unread struct {
	mu   sync.Mutex
	gone bool
	last int
	give map[int]func()
}

// add counts an answer until release is called, or the connection is over.
func (u *unread) add(give func()) (release func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.gone {
		give()
		return func() {}
	}
	u.last++
	number := u.last
	if u.give == nil {
		u.give = map[int]func(){}
	}
	u.give[number] = give
	return func() {
		u.mu.Lock()
		delete(u.give, number)
		u.mu.Unlock()
		give()
	}
}

// end gives up all that waits.
func (u *unread) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone = true
	for _, give := range u.give {
		give()
	}
	u.give = nil
}

type unreadKey struct{}

// Connections has a server of gRPC tell the guard of connections.
func (g *Guard) Connections() stats.Handler { return connectionHandler{} }

type connectionHandler struct{}

// TagConn implements stats.Handler.
func (connectionHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, unreadKey{}, &unread{})
}

// HandleConn implements stats.Handler.
func (connectionHandler) HandleConn(ctx context.Context, event stats.ConnStats) {
	if _, over := event.(*stats.ConnEnd); over {
		if u, ok := ctx.Value(unreadKey{}).(*unread); ok {
			u.end()
		}
	}
}

// TagRPC implements stats.Handler.
func (connectionHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (connectionHandler) HandleRPC(context.Context, stats.RPCStats) {}

// pack makes the bytes of an answer. They count as the client's until dropped is called, or the library gives them
// back, or the connection is over.
func (c *call) pack(reply any) (packed mem.BufferSlice, dropped func(), err error) {
	message, ok := reply.(proto.Message)
	if !ok {
		return nil, nil, errors.New("guard: the answer is no message")
	}
	give, ok := c.guard.bodies.take(c.client, min(int64(proto.Size(message)), maxCounted))
	if !ok {
		return nil, nil, errBusy("bytes of answers")
	}
	data, err := proto.MarshalOptions{UseCachedSize: true}.Marshal(message)
	if err != nil || mem.IsBelowBufferPoolingThreshold(cap(data)) { // The library does not tell when it wrote it.
		give()
		return mem.BufferSlice{mem.SliceBuffer(data)}, func() {}, err
	}
	release := give
	if u, ok := c.ctx.Value(unreadKey{}).(*unread); ok {
		release = u.add(give)
	}
	w := &written{release}
	runtime.AddCleanup(w, func(release func()) { release() }, release)
	return mem.BufferSlice{mem.NewBuffer(&data, w)}, release, nil
}

// written is told when the library needs an answer no longer.
type written struct{ release func() }

// Get implements mem.BufferPool.
func (*written) Get(length int) *[]byte {
	data := make([]byte, length)
	return &data
}

// Put implements mem.BufferPool.
func (w *written) Put(*[]byte) { w.release() }
