package main

import (
	"context"
	"fmt"
	"time"

	"kontor.dev/kontor/test/bench/load"
)

// subject is one of those that take turns.
type subject struct {
	name string
	job  load.Job
}

// rounds are what subjects did, by their names.
type rounds struct {
	of map[string][]*load.Result
	// asked is how many calls to the provider each call of a subject led to.
	asked map[string]float64
}

// take has subjects take turns.
func (b *bench) take(ctx context.Context, subjects ...subject) (*rounds, error) {
	r := &rounds{of: map[string][]*load.Result{}, asked: map[string]float64{}}
	for range b.rounds {
		for _, s := range subjects {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			s.job.Warm, s.job.For = b.each/5, b.each
			before, err := b.counts(ctx)
			if err != nil {
				return nil, err
			}
			result, err := b.load.do(s.job)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			if result.Calls == 0 {
				return nil, fmt.Errorf("%s answered nothing", s.name)
			}
			after, err := b.counts(ctx)
			if err != nil {
				return nil, err
			}
			r.of[s.name] = append(r.of[s.name], result)
			r.asked[s.name] = float64(after.Insights+after.Transactions-before.Insights-before.Transactions) /
				float64(result.Calls+result.Warmed)
		}
	}
	return r, nil
}

// each gives the same figure of each round.
func each(results []*load.Result, of func(*load.Result) float64) (all []float64) {
	for _, r := range results {
		all = append(all, of(r))
	}
	return all
}

const microPerMilli, milliPerSecond = 1000, 1000

// cpu is milliseconds of the processors for each call.
func cpu(r *load.Result) float64 { return r.CPU.Seconds() * milliPerSecond / float64(r.Calls) }

// rate is calls in a second.
func rate(r *load.Result) float64 { return float64(r.Calls) / r.Took.Seconds() }

// ratio compares two subjects, round by round.
func (r *rounds) ratio(of, over string, figure func(*load.Result) float64) (all []float64) {
	for n, result := range r.of[of] {
		all = append(all, figure(result)/figure(r.of[over][n]))
	}
	return all
}

// The subjects.
const (
	proxyName   = "proxy"
	naiveGRPC   = "naive gRPC"
	naiveREST   = "naive REST"
	kontorGRPC  = "Kontor gRPC"
	kontorREST  = "Kontor REST"
	streamsName = "bare grpc-go"
)

func (b *bench) onProxy(path string) subject {
	var all []load.Call
	for range b.callers {
		all = append(all, load.Call{Path: path})
	}
	return subject{proxyName, load.Job{Address: b.proxy.HTTP, Key: "token-of-the-stub", Pid: b.proxy.pid, Calls: all}}
}

// medianDuration is the median of durations, in milliseconds.
func medianDuration(all []time.Duration) float64 {
	var ms []float64
	for _, d := range all {
		ms = append(ms, d.Seconds()*milliPerSecond)
	}
	return median(ms)
}
