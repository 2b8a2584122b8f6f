// Package load is who calls: many callers at one time, each one call after the other, over gRPC or HTTP, without
// looking at more of an answer than whether it is one. So that a caller costs little, requests are bytes that were made
// beforehand, and answers are not decoded.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"

	"kontor.dev/kontor/test/worldtest"
)

// Call is what a caller asks for, over and over.
type Call struct {
	// Method is gRPC's full name of a method; "" for a request over HTTP.
	Method string
	// Path is that of a request over HTTP.
	Path string
	// Body is the request's message for gRPC.
	Body []byte
	// Stream says that a gRPC method answers with several messages.
	Stream bool
}

// Job is a load.
type Job struct {
	// Address is where gRPC or HTTP is served, Key the caller's, Pid the process that serves.
	Address, Key string
	Pid          int
	// Calls has one call for each caller.
	Calls []Call
	// Unique is a text in bodies of which each call has another one of the same length, a UUID; "" for none.
	Unique string
	// Warm is how long they call before it counts, For how long it counts.
	Warm, For time.Duration
	// Watchers are streams that are opened before all else and kept open until the next job.
	Watchers *Watchers
	// Rate is how many calls are begun each second, whether or not others have ended; 0 for each caller's as soon as
	// the one before has ended.
	Rate float64
}

// Result is what came of a job.
type Result struct {
	// Calls are those that were answered, Failures those that were not, in the time that counts.
	Calls, Failures int
	// Warmed are those that were answered before that.
	Warmed int
	// Messages are those of answers that are streams.
	Messages int
	// Error is the first failure.
	Error string
	// CPU is what the process that serves has used.
	CPU, Took time.Duration
	// Spread is how long after the first one, or after what caused it was answered, the last watcher had an event, for
	// each event.
	Spread []time.Duration
	// Answered and Refused are how long calls took.
	Answered, Refused Delays
}

// Delays are how long calls took.
type Delays struct{ P50, P99, Max time.Duration }

// perConnection is how many gRPC callers share a connection.
const perConnection = 16

// caller makes one call and gives how many messages the answer had.
type caller func(ctx context.Context) (messages int, err error)

// tally is what the callers of a job have got.
type tally struct {
	mu       sync.Mutex
	result   Result
	answered []time.Duration
	refused  []time.Duration
}

func (t *tally) add(took time.Duration, messages int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.refused = append(t.refused, took)
		if t.result.Failures++; t.result.Error == "" {
			t.result.Error = err.Error()
		}
		return
	}
	t.answered = append(t.answered, took)
	t.result.Calls++
	t.result.Messages += messages
}

// Run does a job.
func Run(ctx context.Context, job Job) (*Result, error) {
	callers, done, err := job.callers()
	defer done()
	if err != nil {
		return nil, err
	}
	warmed, all := &tally{}, &tally{}
	if job.Warm > 0 {
		job.drive(ctx, callers, job.Warm, warmed)
	}
	before, began := worldtest.Used(job.Pid), time.Now()
	job.drive(ctx, callers, job.For, all)
	all.result.Took, all.result.CPU = time.Since(began), worldtest.Used(job.Pid)-before
	all.result.Warmed = warmed.result.Calls
	all.result.Answered, all.result.Refused = delaysOf(all.answered), delaysOf(all.refused)
	return &all.result, nil
}

// drive has all call for a while, and waits for the last answers.
func (j *Job) drive(ctx context.Context, callers []caller, during time.Duration, all *tally) {
	var calling sync.WaitGroup
	defer calling.Wait()
	end := time.Now().Add(during)
	if j.Rate > 0 {
		j.arrive(ctx, callers, end, all, &calling)
		return
	}
	for _, call := range callers {
		calling.Go(func() {
			for {
				began := time.Now()
				if began.After(end) || ctx.Err() != nil {
					return
				}
				messages, err := call(ctx)
				all.add(time.Since(began), messages, err)
			}
		})
	}
}

// arrive begins calls at a rate. How long one took counts from when it was due.
func (j *Job) arrive(ctx context.Context, callers []caller, end time.Time, all *tally, calling *sync.WaitGroup) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for n := 0; ctx.Err() == nil; {
		due := began.Add(time.Duration(float64(n) / j.Rate * float64(time.Second)))
		if due.After(end) {
			return
		}
		if time.Until(due) > 0 {
			<-tick.C
			continue
		}
		call := callers[n%len(callers)]
		calling.Go(func() {
			messages, err := call(ctx)
			all.add(time.Since(due), messages, err)
		})
		n++
	}
}

// callers makes a caller of each call. What they have open is closed by done.
func (j *Job) callers() (callers []caller, done func(), err error) {
	var open []io.Closer
	done = func() {
		for _, each := range open {
			each.Close()
		}
	}
	var stubs *worldtest.Stubs
	for n, call := range j.Calls {
		if call.Method == "" {
			own := &connection{address: j.Address, key: j.Key, path: call.Path}
			open = append(open, own)
			callers = append(callers, own.call)
			continue
		}
		if n%perConnection == 0 {
			if stubs, err = worldtest.Dial(j.Address, j.Key); err != nil {
				return nil, done, err
			}
			open = append(open, stubs.Conn)
		}
		callers = append(callers, j.grpc(stubs.Conn, call))
	}
	return callers, done, nil
}

func (j *Job) grpc(conn *grpc.ClientConn, call Call) caller {
	raw := grpc.ForceCodecV2(bytesCodec{})
	if call.Stream {
		return func(ctx context.Context) (messages int, err error) {
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, call.Method, raw)
			if err != nil {
				return 0, err
			}
			if err := errors.Join(stream.SendMsg(call.Body), stream.CloseSend()); err != nil {
				return 0, err
			}
			for {
				var none []byte
				switch err := stream.RecvMsg(&none); {
				case errors.Is(err, io.EOF):
					return messages, nil
				case err != nil:
					return messages, err
				}
				messages++
			}
		}
	}
	return func(ctx context.Context) (int, error) {
		body := call.Body
		if j.Unique != "" {
			body = bytes.Replace(body, []byte(j.Unique), []byte(uuid.NewString()), 1)
		}
		var none []byte
		return 1, conn.Invoke(ctx, call.Method, body, &none, raw)
	}
}

// bytesCodec sends bytes as they are, and looks at none that come.
type bytesCodec struct{}

var _ encoding.CodecV2 = bytesCodec{}

// Marshal implements encoding.CodecV2.
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	body, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T are no bytes", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(body)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (bytesCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// Name implements encoding.CodecV2.
func (bytesCodec) Name() string { return "proto" }

// connection is an HTTP caller's own, opened with the first call.
type connection struct {
	address, key, path string

	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

// Close closes it.
func (c *connection) Close() error {
	if c.conn == nil {
		return nil
	}
	return c.conn.Close()
}

func (c *connection) call(ctx context.Context) (messages int, err error) {
	if c.conn == nil {
		if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.address); err != nil {
			return 0, err
		}
		c.reader = bufio.NewReader(c.conn)
		c.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer %s\r\n\r\n",
			c.path, c.key)
	}
	if messages, err = c.exchange(); err != nil {
		c.conn.Close()
		c.conn = nil
	}
	return messages, err
}

// exchange sends the request and counts the answer's lines.
func (c *connection) exchange() (lines int, err error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	counted := &lineCounter{}
	if _, err := io.Copy(counted, resp.Body); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}
	return counted.lines, nil
}

type lineCounter struct{ lines int }

func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func delaysOf(took []time.Duration) (d Delays) {
	if len(took) == 0 {
		return d
	}
	slices.Sort(took)
	return Delays{took[len(took)/2], took[len(took)*99/100], took[len(took)-1]}
}
