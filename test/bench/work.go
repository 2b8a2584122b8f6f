package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/bench/load"
	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/bench/yardstick"
	"kontor.dev/kontor/test/worldtest"
)

// decoded matches a line of the benchmark's output; its groups are which of the two it was, and nanoseconds.
var decoded = regexp.MustCompile(`(?m)^BenchmarkTransactions/(mapped|encoding-json)-?\d*\s+\d+\s+([\d.]+) ns/op`)

// measureDecoding runs the adapter's benchmark: what is measured is within a process.
func measureDecoding(ctx context.Context, b *bench) ([]figure, error) {
	test := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkTransactions$", "-benchtime",
		b.benchtime, "-count", strconv.Itoa(b.rounds), adapter)
	out, err := test.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	took := map[string][]float64{}
	for _, line := range decoded.FindAllStringSubmatch(string(out), -1) {
		var ns float64
		if _, err := fmt.Sscan(line[2], &ns); err != nil {
			return nil, err
		}
		took[line[1]] = append(took[line[1]], ns/float64(time.Millisecond))
	}
	return []figure{figure{
		title: "50,000 transactions decoded and mapped", unit: "ms", bar: 45, moonshot: 36,
		note: fmt.Sprintf("encoding/json alone %.3g ms; %.2gx of it", median(took["encoding-json"]),
			median(took["mapped"])/median(took["encoding-json"])),
	}.of(took["mapped"])}, nil
}

// measureCreates compares how fast consents are made with how fast one who writes inserts the rows that they leave, of
// as many consents in a commit.
func measureCreates(ctx context.Context, b *bench) ([]figure, error) {
	if worldtest.Stores() != worldtest.SQLite {
		return nil, errors.New("it is about a store in SQLite")
	}
	k, err := b.kontor("")
	if err != nil {
		return nil, err
	}
	if err := k.start(); err != nil {
		return nil, err
	}
	const unique = "00000000-0000-0000-0000-000000000000"
	body, err := proto.Marshal(asked(stub.Small, unique))
	if err != nil {
		return nil, err
	}
	job := load.Job{Address: k.GRPC, Key: k.key, Pid: k.Pid(), Unique: unique, For: b.each}
	for range b.callers {
		job.Calls = append(job.Calls, load.Call{
			Method: consentv1.ConsentService_CreateConsent_FullMethodName, Body: body,
		})
	}
	if _, err := b.load.do(job); err != nil { // warms up
		return nil, err
	}
	before, err := k.commits()
	if err != nil {
		return nil, err
	}
	made, err := b.load.do(job)
	if err != nil {
		return nil, err
	}
	after, err := k.commits()
	if err != nil {
		return nil, err
	}
	together := max(1, int(float64(made.Calls)/(after-before)+0.5))
	copied, err := worldtest.CopyStore(k.dir)
	if err != nil {
		return nil, err
	}
	from, err := worldtest.Rows(ctx, copied)
	if err != nil {
		return nil, err
	}
	inserts, err := yardstick.NewInserts(ctx, from)
	if err := errors.Join(err, from.Close()); err != nil {
		return nil, err
	}
	var slower, creates, bare []float64
	for range b.rounds {
		got, err := b.load.do(job)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp(b.dir, "inserts-")
		if err != nil {
			return nil, err
		}
		inserted, err := inserts.Run(ctx, dir, together)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return nil, err
		}
		creates, bare = append(creates, rate(got)), append(bare, inserted)
		slower = append(slower, inserted/rate(got))
	}
	return []figure{figure{
		title: "durable creates slower than bare inserts", unit: "x", bar: 1.7, moonshot: 1.2,
		note: fmt.Sprintf("%.0f/s against %.0f/s, %.1f rows each, those of %d in a commit, as Kontor does",
			median(creates), median(bare), inserts.Rows(), together),
	}.of(slower)}, k.gone()
}

// quiet has nothing be read by itself.
const quiet = "webhooks: false\npolling: {min_interval: 1h, max_interval: 1h}\n"

// measureWatchers compares the memory of a gateway with few idle streams and with many.
func measureWatchers(_ context.Context, b *bench) (figures []figure, err error) {
	for _, sse := range []bool{false, true} {
		f := figure{title: "idle watcher, gRPC", unit: "kB", bar: 12, moonshot: 9}
		if sse {
			f = figure{title: "idle watcher, SSE", unit: "kB", bar: 25, moonshot: 12}
		}
		var each []float64
		for range b.rounds {
			kilobytes, err := b.watcher(sse)
			if err != nil {
				return figures, err
			}
			each = append(each, kilobytes)
		}
		f.note = fmt.Sprintf("%d beside %d", b.watchers-b.watchers/4, b.watchers/4)
		figures = append(figures, f.of(each))
	}
	return figures, nil
}

// watcher is how much memory each idle stream takes, in kB.
func (b *bench) watcher(sse bool) (kilobytes float64, err error) {
	k, err := b.kontor(quiet)
	if err != nil {
		return 0, err
	}
	if err := k.start(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, k.gone()) }()
	var resident []int64
	for _, count := range []int{b.watchers / 4, b.watchers - b.watchers/4} {
		watching, err := start("load")
		if err != nil {
			return 0, err
		}
		defer func() { _ = watching.end() }() // with its streams
		job := load.Job{Address: k.GRPC, Key: k.key, Pid: k.Pid(), Watchers: &load.Watchers{Count: count, SSE: sse}}
		if sse {
			job.Address = k.rest()
		}
		if _, err := watching.do(job); err != nil {
			return 0, err
		}
		resident = append(resident, k.settled())
	}
	return float64(resident[1]-resident[0]) / float64(b.watchers-b.watchers/4) / 1000, nil
}

// settled is the least memory that the gateway has for a while.
func (k *kontor) settled() int64 {
	least := k.Resident()
	worldtest.Holds(k.bench.settle, func() bool {
		least = min(least, k.Resident())
		return false
	})
	return least
}

// eventsEach is how many events a round has.
const eventsEach = 5

// measureEvents compares how long one event takes to reach the last of many watchers.
func measureEvents(ctx context.Context, b *bench) ([]figure, error) {
	k, err := b.kontor(quiet)
	if err != nil {
		return nil, err
	}
	if err := k.start(); err != nil {
		return nil, err
	}
	news, err := k.authorized(ctx, stub.News, 1)
	if err != nil {
		return nil, err
	}
	watchers := load.Watchers{Count: b.audience, Events: eventsEach, Cause: news[0]}
	var slower, took, bare []float64
	for range b.rounds {
		var last [2]float64
		for n, job := range []load.Job{
			{Address: k.GRPC, Key: k.key, Pid: k.Pid(), Watchers: &watchers},
			{Address: b.streams.GRPC, Pid: b.streams.pid, Watchers: &watchers},
		} {
			got, err := b.load.do(job)
			if err != nil {
				return nil, err
			}
			last[n] = medianDuration(got.Spread)
		}
		took, bare, slower = append(took, last[0]), append(bare, last[1]), append(slower, last[0]/last[1])
	}
	return []figure{figure{
		title: fmt.Sprintf("one event to the last of %d watchers, over bare grpc-go", b.audience), unit: "x", bar: 1.5,
		moonshot: 1.2, note: fmt.Sprintf("%.3g ms against %.3g ms", median(took), median(bare)),
	}.of(slower)}, k.gone()
}

// measurePolls has a gateway poll consents that are all due, without any news.
func measurePolls(ctx context.Context, b *bench) ([]figure, error) {
	k, err := b.filled(ctx, b.polled, true, "webhooks: false\n")
	if err != nil {
		return nil, err
	}
	first, err := b.counts(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.start(); err != nil {
		return nil, err
	}
	began := worldtest.Holds(worldtest.Patience, func() bool {
		now, err := b.counts(ctx)
		return err == nil && now.Processes > first.Processes
	})
	if !began {
		return nil, errors.New("nothing is polled")
	}
	var each []float64
	var polls int64
	for range b.rounds {
		before, err := b.counts(ctx)
		if err != nil {
			return nil, err
		}
		used := k.Used()
		<-time.After(b.each)
		now, err := b.counts(ctx)
		if err != nil {
			return nil, err
		}
		if now.Processes == before.Processes {
			break // All have been polled.
		}
		polls += now.Processes - before.Processes
		each = append(each, (k.Used()-used).Seconds()*milliPerSecond/float64(now.Processes-before.Processes))
	}
	return []figure{figure{
		title: "poll without news", unit: "ms", bar: 0.3, moonshot: 0.1,
		note: fmt.Sprintf("%.0f/s", float64(polls)/b.each.Seconds()/float64(max(1, len(each)))),
	}.of(each)}, k.gone()
}

// flat is how much longer a list may take among the most consents than among the fewest.
const flat = 1.5

// measureLists compares how long lists that find nothing take among few consents and among many: of a tenant, and of a
// customer who has all of them.
func measureLists(ctx context.Context, b *bench) (figures []figure, err error) {
	var gateways []*kontor
	defer func() {
		for _, k := range gateways {
			err = errors.Join(err, k.gone())
		}
	}()
	for _, count := range b.listed {
		k, err := b.filled(ctx, count, false, quiet)
		if err != nil {
			return nil, err
		}
		gateways = append(gateways, k)
		if err := k.start(); err != nil {
			return nil, err
		}
	}
	for _, ofCustomer := range []bool{false, true} {
		f, err := b.list(ctx, gateways, ofCustomer)
		if err != nil {
			return figures, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// list has gateways take turns that have as many consents as are listed.
func (b *bench) list(ctx context.Context, gateways []*kontor, ofCustomer bool) (f figure, err error) {
	few, many := strconv.Itoa(b.listed[0]), strconv.Itoa(b.listed[len(b.listed)-1])
	f = figure{
		title: fmt.Sprintf("ListConsents, two statuses, none match, %s consents over %s", many, few), unit: "x",
		bar: flat,
	}
	var subjects []subject
	for n, k := range gateways {
		asks := &consentv1.ListConsentsRequest{Statuses: []consentv1.Consent_Status{
			consentv1.Consent_REJECTED, consentv1.Consent_EXPIRED,
		}}
		if ofCustomer {
			asks.Customer = k.customer
		}
		body, err := proto.Marshal(asks)
		if err != nil {
			return f, err
		}
		subjects = append(subjects, subject{strconv.Itoa(b.listed[n]), load.Job{
			Address: k.GRPC, Key: k.key, Pid: k.Pid(),
			Calls: []load.Call{{Method: consentv1.ConsentService_ListConsents_FullMethodName, Body: body}},
		}})
	}
	if ofCustomer {
		f.title += ", of one customer"
	}
	got, err := b.take(ctx, subjects...)
	if err != nil {
		return f, err
	}
	took := func(r *load.Result) float64 { return r.Answered.P50.Seconds() * milliPerSecond }
	for n, s := range subjects {
		if n > 0 {
			f.note += "; "
		}
		f.note += fmt.Sprintf("%s: %.3g ms", s.name, median(each(got.of[s.name], took)))
	}
	return f.of(got.ratio(many, few, took)), nil
}
