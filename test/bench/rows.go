package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/bench/load"
	"kontor.dev/kontor/test/bench/stub"
)

// row is a part of the table.
type row struct {
	name    string
	measure func(context.Context, *bench) ([]figure, error)
}

// rows are all parts, in order.
var rows = []row{
	{"accounts", measureAccounts},
	{"transactions", measureTransactions},
	{"consent", measureConsent},
	{"page", measurePage},
	{"decode", measureDecoding},
	{"stream", measureStreams},
	{"create", measureCreates},
	{"watcher", measureWatchers},
	{"event", measureEvents},
	{"poll", measurePolls},
	{"reads", measureReads},
	{"list", measureLists},
}

// read is a kind of read, as each subject is asked for it.
type read struct {
	method string
	// request and path ask for it by the name of a consent, provider by the id of a process.
	request func(consent string) proto.Message
	path    func(consent string) string
}

var listAccounts = read{
	method:  bankingv1.BankingService_ListAccounts_FullMethodName,
	request: func(consent string) proto.Message { return &bankingv1.ListAccountsRequest{Parent: consent} },
	path:    func(consent string) string { return "/v1/" + consent + "/accounts" },
}

func listTransactions(size int) read {
	return read{
		method: bankingv1.BankingService_ListTransactions_FullMethodName,
		request: func(consent string) proto.Message {
			return &bankingv1.ListTransactionsRequest{Parent: consent + "/accounts/-", PageSize: int32(size)}
		},
		path: func(consent string) string {
			return fmt.Sprintf("/v1/%s/accounts/-/transactions?pageSize=%d", consent, size)
		},
	}
}

var getConsent = read{
	method:  consentv1.ConsentService_GetConsent_FullMethodName,
	request: func(consent string) proto.Message { return &consentv1.GetConsentRequest{Name: consent} },
	path:    func(consent string) string { return "/v1/" + consent },
}

// streamTransactions is over HTTP a line for each message.
var streamTransactions = read{
	method:  bankingv1.BankingService_StreamTransactions_FullMethodName,
	request: func(consent string) proto.Message { return &bankingv1.StreamTransactionsRequest{Parent: consent} },
	path:    func(consent string) string { return "/v1/" + consent + "/transactions:stream" },
}

// over makes a load of a read over both protocols, with a caller for each consent.
func (r read) over(name string, grpc, rest load.Job, consents []string) (all []subject, err error) {
	for _, consent := range consents {
		body, err := proto.Marshal(r.request(consent))
		if err != nil {
			return nil, err
		}
		grpc.Calls = append(grpc.Calls, load.Call{
			Method: r.method, Body: body, Stream: strings.Contains(r.method, "/Stream"),
		})
		rest.Calls = append(rest.Calls, load.Call{Path: r.path(consent)})
	}
	return []subject{{name + " gRPC", grpc}, {name + " REST", rest}}, nil
}

// ofKontor has Kontor read over both protocols, for so many callers.
func (b *bench) ofKontor(ctx context.Context, r read, kind stub.Kind, callers int) ([]subject, error) {
	k, err := b.running()
	if err != nil {
		return nil, err
	}
	consents, err := k.authorized(ctx, kind, callers)
	if err != nil {
		return nil, err
	}
	return r.over("Kontor", load.Job{Address: k.GRPC, Key: k.key, Pid: k.Pid()},
		load.Job{Address: k.rest(), Key: k.key, Pid: k.Pid()}, consents)
}

// ofNaive has the naive gateway read.
func (b *bench) ofNaive(r read, kind stub.Kind, callers int) ([]subject, error) {
	var consents []string
	for n := range callers {
		consents = append(consents, "consents/"+kind.Process(int64(n)))
	}
	return r.over("naive", load.Job{Address: b.naive.GRPC, Pid: b.naive.pid},
		load.Job{Address: b.naive.HTTP, Pid: b.naive.pid}, consents)
}

// subjects are the proxy, the naive gateway and Kontor, in front of answers of a kind.
func (b *bench) subjects(ctx context.Context, r read, kind stub.Kind, callers int) (all []subject, err error) {
	kontor, err := b.ofKontor(ctx, r, kind, callers)
	if err != nil {
		return nil, err
	}
	naive, err := b.ofNaive(r, kind, callers)
	return append(naive, kontor...), err
}

// small measures reads of 1.7 kB over the proxy.
func (b *bench) small(ctx context.Context, r read, path string) (*rounds, error) {
	all, err := b.subjects(ctx, r, stub.Small, b.callers)
	if err != nil {
		return nil, err
	}
	return b.take(ctx, append([]subject{b.onProxy(path)}, all...)...)
}

// overProxy are the figures of both protocols, over the proxy.
func overProxy(got *rounds, title string) []figure {
	figures := []figure{
		{title: title + ", gRPC", unit: "x", bar: 2, moonshot: 1.5},
		{title: title + ", REST", unit: "x", bar: 2.6, moonshot: 1.65},
	}
	unit := median(each(got.of[proxyName], cpu))
	for i, names := range [][2]string{{kontorGRPC, naiveGRPC}, {kontorREST, naiveREST}} {
		figures[i] = figures[i].of(got.ratio(names[0], proxyName, cpu))
		figures[i].note = fmt.Sprintf("naive %.3gx; the proxy %.0f us; %.1f calls to the provider each",
			median(got.ratio(names[1], proxyName, cpu)), unit*microPerMilli, got.asked[names[0]])
	}
	return figures
}

func measureAccounts(ctx context.Context, b *bench) (_ []figure, err error) {
	if b.accounts, err = b.small(ctx, listAccounts, "/insights/"+stub.Small.Process(1)); err != nil {
		return nil, err
	}
	return overProxy(b.accounts, "ListAccounts"), nil
}

func measureTransactions(ctx context.Context, b *bench) ([]figure, error) {
	got, err := b.small(ctx, listTransactions(100), "/insights/"+stub.Small.Process(1)+"/transactions?page=1")
	if err != nil {
		return nil, err
	}
	return overProxy(got, "ListTransactions"), nil
}

func measureConsent(ctx context.Context, b *bench) ([]figure, error) {
	kontor, err := b.ofKontor(ctx, getConsent, stub.Small, b.callers)
	if err != nil {
		return nil, err
	}
	got, err := b.take(ctx, append(kontor, b.onProxy("/insights/"+stub.Small.Process(1)))...)
	if err != nil {
		return nil, err
	}
	return []figure{
		figure{title: "GetConsent from the store, gRPC", unit: "x", bar: 0.7, moonshot: 0.6}.
			of(got.ratio(kontorGRPC, proxyName, cpu)),
		figure{title: "GetConsent from the store, REST", unit: "x", bar: 1, moonshot: 0.8}.
			of(got.ratio(kontorREST, proxyName, cpu)),
	}, nil
}

// largeCallers are fewer callers, for answers that keep the processors busy.
const largeCallers = 8

func measurePage(ctx context.Context, b *bench) ([]figure, error) {
	all, err := b.subjects(ctx, listTransactions(b.Page), stub.Page, min(largeCallers, b.callers))
	if err != nil {
		return nil, err
	}
	got, err := b.take(ctx, all...)
	if err != nil {
		return nil, err
	}
	title := fmt.Sprintf("page of %d transactions over naive, ", b.Page)
	figures := []figure{
		{title: title + "gRPC", unit: "x", bar: 1. / 2, moonshot: 1. / 3},
		{title: title + "REST", unit: "x", bar: 1. / 4, moonshot: 1. / 7},
	}
	for i, names := range [][2]string{{kontorGRPC, naiveGRPC}, {kontorREST, naiveREST}} {
		figures[i] = figures[i].of(got.ratio(names[0], names[1], cpu))
		figures[i].note = fmt.Sprintf("Kontor %.3g ms, naive %.3g ms", median(each(got.of[names[0]], cpu)),
			median(each(got.of[names[1]], cpu)))
	}
	return figures, nil
}

// streamCallers is how many streams are read at one time.
const streamCallers = 2

func measureStreams(ctx context.Context, b *bench) ([]figure, error) {
	kontor, err := b.ofKontor(ctx, streamTransactions, stub.Large, streamCallers)
	if err != nil {
		return nil, err
	}
	bare, err := streamTransactions.over("bare", load.Job{Address: b.streams.GRPC, Pid: b.streams.pid}, load.Job{},
		[]string{"consents/1", "consents/2"})
	if err != nil {
		return nil, err
	}
	bare[0].name = streamsName
	got, err := b.take(ctx, append(kontor, bare[0])...)
	if err != nil {
		return nil, err
	}
	for name, results := range got.of {
		for _, r := range results {
			if r.Messages < (b.Large+1)*r.Calls { // with the last one, which says that it is
				return nil, fmt.Errorf("%s sent %d messages in %d streams", name, r.Messages, r.Calls)
			}
		}
	}
	one := func(r *load.Result) float64 { return cpu(r) * microPerMilli / float64(b.Large) }
	note := fmt.Sprintf("bare grpc-go %.3g us", median(each(got.of[streamsName], one)))
	return []figure{
		figure{title: "StreamTransactions, each, REST", unit: "us", bar: 15, moonshot: 6, note: note}.
			of(each(got.of[kontorREST], one)),
		figure{title: "StreamTransactions, each, gRPC", unit: "us", bar: 8, moonshot: 4, note: note}.
			of(each(got.of[kontorGRPC], one)),
	}, nil
}

// measureReads takes what ListAccounts over gRPC did.
func measureReads(ctx context.Context, b *bench) ([]figure, error) {
	if b.accounts == nil {
		if _, err := measureAccounts(ctx, b); err != nil {
			return nil, err
		}
	}
	got := b.accounts
	return []figure{figure{
		title: fmt.Sprintf("reads per second, %d callers, over the proxy's", b.callers), unit: "x",
		bar: 1. / 3, moonshot: 1. / 2, atLeast: true,
		note: fmt.Sprintf("ListAccounts over gRPC: %.0f/s; naive %.0f/s, the proxy %.0f/s",
			median(each(got.of[kontorGRPC], rate)), median(each(got.of[naiveGRPC], rate)),
			median(each(got.of[proxyName], rate))),
	}.of(got.ratio(kontorGRPC, proxyName, rate))}, nil
}
