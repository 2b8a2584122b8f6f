package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"

	"kontor.dev/kontor/test/bench/load"
	"kontor.dev/kontor/test/bench/naive"
	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/bench/yardstick"
)

// role is what a process of this program does. It says where it listens and goes on until its input ends.
type role func(ctx context.Context, args []string, says *json.Encoder) error

var roles = map[string]role{
	"stub": playStub, "proxy": playProxy, "naive": playNaive, "streams": playStreams, "load": playLoad,
}

// addresses are where a role listens.
type addresses struct{ GRPC, HTTP string }

// play does a role until the input ends, with which whoever started it has ended.
func play(name string, args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := roles[name](ctx, args, json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
		return 1
	}
	return 0
}

// tillEnd waits for the end of the input.
func tillEnd() error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func serveHTTP(h http.Handler) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens as long as the process lives
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), nil
}

func serveGRPC(server *grpc.Server) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens as long as the process lives
	if err != nil {
		return "", err
	}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), nil
}

func playStub(_ context.Context, args []string, says *json.Encoder) error {
	var sizes stub.Sizes
	flags := flag.NewFlagSet("stub", flag.ContinueOnError)
	flags.IntVar(&sizes.Page, "page", 0, "")
	flags.IntVar(&sizes.Large, "large", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := serveHTTP(stub.New(sizes))
	if err != nil {
		return err
	}
	return errors.Join(says.Encode(addresses{HTTP: at}), tillEnd())
}

func playProxy(_ context.Context, args []string, says *json.Encoder) error {
	to, err := url.Parse(args[0])
	if err != nil {
		return err
	}
	at, err := serveHTTP(yardstick.Proxy(to))
	if err != nil {
		return err
	}
	return errors.Join(says.Encode(addresses{HTTP: at}), tillEnd())
}

func playNaive(ctx context.Context, args []string, says *json.Encoder) error {
	g := &naive.Gateway{Provider: args[0], Client: &http.Client{Transport: yardstick.Transport()}}
	rest, err := g.REST(ctx)
	if err != nil {
		return err
	}
	var at addresses
	if at.HTTP, err = serveHTTP(rest); err != nil {
		return err
	}
	if at.GRPC, err = serveGRPC(g.GRPC()); err != nil {
		return err
	}
	return errors.Join(says.Encode(at), tillEnd())
}

func playStreams(_ context.Context, args []string, says *json.Encoder) error {
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	at, err := serveGRPC(yardstick.NewStreams(count))
	if err != nil {
		return err
	}
	return errors.Join(says.Encode(addresses{GRPC: at}), tillEnd())
}

// reply is what came of a job.
type reply struct {
	*load.Result

	Failure string
}

// playLoad does job after job.
func playLoad(ctx context.Context, _ []string, says *json.Encoder) error {
	if err := says.Encode(addresses{}); err != nil {
		return err
	}
	closeAll := func() {}
	for jobs := json.NewDecoder(os.Stdin); ; {
		var job load.Job
		switch err := jobs.Decode(&job); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		closeAll()
		closeAll = func() {}
		var err error
		var r reply
		if job.Watchers != nil {
			r.Result, closeAll, err = load.Watch(ctx, job)
		} else {
			r.Result, err = load.Run(ctx, job)
		}
		if err != nil {
			r.Failure = err.Error()
		}
		if err := says.Encode(r); err != nil {
			return err
		}
	}
}

// process is a role that somebody plays.
type process struct {
	addresses

	pid    int
	end    func() error
	orders *json.Encoder
	hears  *json.Decoder
	mu     sync.Mutex
}

// start has a process of this program play a role.
func start(name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{name}, args...)...) //nolint:noctx // it ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{
		pid: cmd.Process.Pid, orders: json.NewEncoder(in), hears: json.NewDecoder(bufio.NewReader(out)),
		end: func() error { return errors.Join(in.Close(), cmd.Wait()) },
	}
	if err := p.hears.Decode(&p.addresses); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not begin: %w", name, err), p.end())
	}
	return p, nil
}

// do has a load do a job.
func (p *process) do(job load.Job) (*load.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.orders.Encode(job); err != nil {
		return nil, err
	}
	var r reply
	if err := p.hears.Decode(&r); err != nil {
		return nil, err
	}
	if r.Failure != "" {
		return nil, errors.New(r.Failure)
	}
	if r.Failures > 0 {
		return r.Result, fmt.Errorf("%d of %d calls failed: %s", r.Failures, r.Calls+r.Failures, r.Error)
	}
	return r.Result, nil
}
