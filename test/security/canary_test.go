package security

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

const (
	inputCanary = "wrong-input-canary-8c41" // in requests that are refused
	bodyCanary  = "provider-body-canary-2f97"
	pdfCanary   = "content of the document 61d2"
	firstName   = "Zyxwelinda"
	lastName    = "Qvarnström-Öhmanbäck"
)

// troubles are what a provider does to make the gateway talk.
var troubles = []struct {
	what  string
	fault sandbox.Fault
}{
	{"nothing", sandbox.Fault{}},
	{"400", sandbox.Fault{Status: 400, Body: bodyCanary}},
	{"403", sandbox.Fault{Status: 403, Body: `{"type": "forbidden", "message": "` + bodyCanary + ` and more"}`}},
	{"404", sandbox.Fault{Status: 404, Body: bodyCanary}},
	{"409", sandbox.Fault{Status: 409, Body: bodyCanary}},
	{"429", sandbox.Fault{Status: 429, RetryAfter: "0", Body: bodyCanary}},
	{"another 200", sandbox.Fault{
		Status: 200,
		Body:   `{"` + bodyCanary + `": "` + bodyCanary + `", "accessToken": 1, "logins": "` + bodyCanary + `"}`,
	}},
	{"malformed", sandbox.Fault{Malformed: true}},
	{"truncated", sandbox.Fault{Truncate: true}},
	{"expired tokens", sandbox.Fault{ExpireTokens: true}},
	{"a lost reply", sandbox.Fault{HangUp: sandbox.HangUpAfter}},
	{"401", sandbox.Fault{Status: 401, Body: `{"message": "` + bodyCanary + `"}`}},
	{"503", sandbox.Fault{Status: 503, Body: bodyCanary}},
}

// TestCanaries sends what must not be kept or said through every RPC, by every front, while the providers behave in
// every way, with a call that panics, at log level debug, and looks for it in all that the gateway says and keeps.
func TestCanaries(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: 50 * time.Millisecond, gateway: panicking(t)})
	s := w.stubs(t, keyOf(owner))
	var mu sync.Mutex
	var said bytes.Buffer // errors, and headers of all answers
	needles := []needle{
		{what: "a national id", value: sandbox.GoodNationalID, guessable: true},
		{what: "a company's id", value: sandbox.SwedishCompanyID, guessable: true},
		{what: "a first name", value: firstName, guessable: true},
		{what: "a last name", value: lastName, guessable: true},
		{what: "a document", value: pdfCanary}, {what: "a provider's body", value: bodyCanary},
		{what: "a wrong input", value: inputCanary, url: true},
		{what: "an end user's address", value: worldtest.PSUIP},
	}
	for secret, what := range worldtest.Secrets(w.ours) {
		needles = append(needles, needle{what: what, value: secret})
	}
	for _, c := range clients {
		needles = append(needles, needle{what: "a key", value: c.Key})
	}
	hear := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		said.WriteString(a.header + protojson.Format(a.failure) + "\n")
	}
	psu := &consentv1.Psu{
		NationalId: sandbox.GoodNationalID, CompanyId: sandbox.SwedishCompanyID, FirstName: firstName,
		LastName: lastName,
	}

	answers, failures := 0, 0
	for i, trouble := range troubles {
		eventually(t, "all providers to be asked again", func() bool {
			var failed error
			for _, id := range worldtest.Providers() {
				failed = errors.Join(failed, worldtest.Of(id).Probe(t.Context(), s))
			}
			return failed == nil
		})
		v := newVictim(t, w, s, fmt.Sprint("round-", i))
		if i == 0 {
			needles = append(needles, bankData(t, s, v)...)
		}
		if trouble.fault != (sandbox.Fault{}) {
			for _, played := range w.ours.InOrder() {
				played.Core.Faults.Add(trouble.fault)
			}
		}
		var all sync.WaitGroup
		slots := make(chan struct{}, 24)
		for provider, n := range v.names {
			for _, m := range worldtest.Methods() {
				front := fronts[(i+len(provider)+m.Index())%len(fronts)]
				request := requestFor(t, m, n)
				switch m.Name() {
				case "CreateConsent":
					request = object{
						"consent": object{"market": worldtest.Of(provider).Market, "provider": provider},
						"psu":     json.RawMessage(protojson.Format(psu)),
					}
				case "CreateShipment":
					request["shipment"].(object)["pdf"] = []byte("%PDF-1.4\n" + pdfCanary)
				}
				all.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					a := w.call(t, s, front, keyOf(owner), m, request)
					hear(a)
					mu.Lock()
					defer mu.Unlock()
					answers++
					if a.failure != nil {
						failures++
					}
				})
			}
		}
		all.Wait()
		for _, played := range w.ours.InOrder() {
			played.Core.Faults.Clear()
		}
	}
	// Whatever is wrong with a request, the error does not quote it.
	for _, m := range worldtest.Methods() {
		for _, request := range wrongRequests(m) {
			hear(w.wrong(t, s, m, request))
		}
	}
	// Whatever was tried to be let in with.
	for _, who := range intruders {
		if who.authorization != "" {
			needles = append(needles, needle{what: "what " + who.what + " calls with", value: who.authorization})
		}
		for _, front := range fronts {
			hear(w.call(t, w.stubs(t, who.authorization), front, who.authorization, worldtest.Methods()[0], object{
				"name": "consents/1",
			}))
		}
	}
	// The call that panics.
	var panicked answer
	for _, m := range worldtest.Methods() {
		if m.Name() == "SearchCompanyLogos" {
			for _, front := range fronts {
				panicked = w.call(t, s, front, keyOf(owner), m, object{"queries": []any{object{
					"name": inputCanary, "iban": sandbox.SampleInvalidIBAN,
				}}})
				hear(panicked)
				if panicked.reason() != "INTERNAL" {
					t.Errorf("%s: the call that panics gave %v", front, panicked.failure)
				}
			}
		}
	}

	for _, token := range callbackTokens(w.ours) {
		needles = append(needles, needle{what: "a callback's token", value: token})
	}
	asked := providerTokens(t, w)
	needles = append(needles, asked...)
	sinks := map[string][]byte{"metrics": must(w.gateway.Metrics())(t), "URLs to providers": w.providerURLs()}
	w.files(t, sinks, "before the end: ")
	w.stop(t)
	w.files(t, sinks, "")
	sinks["traces"] = w.traces.all()
	sinks["errors and headers"] = said.Bytes()
	w.mu.Lock()
	sinks["URLs"] = []byte(w.urls.String())
	w.mu.Unlock()

	total, size := 0, 0
	for _, name := range []string{
		"gateway.log", "the store", "before the end: the store", "metrics", "traces", "errors and headers",
		"URLs", "URLs to providers",
	} {
		if len(sinks[name]) == 0 {
			t.Errorf("there is nothing in %s to look into", name)
		}
	}
	if !bytes.Contains(sinks["gateway.log"], []byte("a call panicked")) ||
		!bytes.Contains(sinks["gateway.log"], []byte(`"level":"DEBUG"`)) {
		t.Error("the log has no panic, or is not at debug level")
	}
	if len(asked) == 0 || len(callbackTokens(w.ours)) == 0 {
		t.Error("no provider's or callback's token was found to look for")
	}
	looked := newHaystack(t, needles)
	for name, content := range sinks {
		total += looked.hits(t, name, content)
		size += len(content)
	}
	t.Logf(
		"%d answers, %d of them errors; %d values in %d sinks with %d bytes: %d hits", answers, failures,
		len(needles), len(sinks), size, total,
	)
}

// panicking builds a gateway in which one call panics with its request.
func panicking(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway")
	err := worldtest.Build(path, map[string]worldtest.Edit{
		"internal/service/insights/server.go": func(source string) (string, error) {
			begin := regexp.MustCompile(`(?ms)^func \(s \*Server\) SearchCompanyLogos\(.*?\{$`).FindStringIndex(source)
			if begin == nil {
				return "", errors.New("there is no such method to panic in")
			}
			lost := "\n\tif ctx != nil {\n\t\tpanic(\"lost: \" + req.String())\n\t}"
			return source[:begin[1]] + lost + source[begin[1]:], nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bankData are texts of accounts and transactions.
func bankData(t *testing.T, s *worldtest.Stubs, v victim) (needles []needle) {
	t.Helper()
	add := func(what, value string) {
		if len(value) >= 10 { // shorter ones stand elsewhere by chance
			needles = append(needles, needle{what: what, value: value})
		}
	}
	for _, n := range v.names {
		for _, a := range must(s.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
			Parent: n["Consent"],
		}))(t).GetAccounts() {
			add("an IBAN", a.GetIban())
			add("an account number", a.GetAccountNumber())
			add("an account's owner", a.GetOwnerName())
		}
		stream := must(s.Banking.StreamTransactions(t.Context(), &bankingv1.StreamTransactionsRequest{
			Parent: n["Consent"],
		}))(t)
		seen := map[string]bool{}
		for len(seen) < 40 {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			tx := message.GetTransaction()
			for _, text := range []string{
				tx.GetRemittanceInformation(), tx.GetCounterparty().GetName(), tx.GetCounterparty().GetIban(),
			} {
				if !seen[text] {
					seen[text] = true
					add("a transaction's text", text)
				}
			}
		}
	}
	if len(needles) < 20 {
		t.Fatalf("only %d texts of accounts and transactions", len(needles))
	}
	return needles
}

// wrongRequests are requests with a wrong value in each field at the top.
func wrongRequests(m protoreflect.MethodDescriptor) (all []object) {
	for i := range m.Input().Fields().Len() {
		field := m.Input().Fields().Get(i)
		if field.Kind() == protoreflect.StringKind && !field.IsList() {
			all = append(all, object{field.JSONName(): inputCanary}, object{
				field.JSONName(): strings.Repeat(inputCanary, 200),
			})
		}
		if field.Message() != nil && !field.IsList() {
			all = append(all, object{field.JSONName(): object{inputCanary: inputCanary}}, object{
				field.JSONName(): inputCanary,
			})
		}
	}
	return append(all, object{inputCanary: inputCanary})
}

// wrong calls with a request that may be no message at all: then REST alone can say it.
func (w *world) wrong(t *testing.T, s *worldtest.Stubs, m protoreflect.MethodDescriptor, request object) answer {
	t.Helper()
	a := w.call(t, s, overREST, keyOf(owner), m, request)
	if protojson.Unmarshal(marshal(t, request), newMessage(t, m.Input())) == nil {
		b := w.call(t, s, overGRPC, keyOf(owner), m, request)
		a.header += b.header + protojson.Format(b.failure)
	}
	return a
}

// providerTokens are all tokens that the gateway showed to a provider.
func providerTokens(t *testing.T, w *world) (needles []needle) {
	t.Helper()
	seen := map[string]bool{}
	for _, call := range worldtest.Calls(w.ours) {
		var body struct{ RefreshToken string }
		_ = json.Unmarshal(call.Body, &body)
		for _, token := range []string{
			strings.TrimPrefix(call.Header.Get("Authorization"), "Bearer "), body.RefreshToken,
		} {
			if token != "" && !seen[token] {
				seen[token] = true
				needles = append(needles, needle{what: "a provider's token", value: token})
			}
		}
	}
	return needles
}

// providerURLs are all addresses that the gateway asked providers for. A provider's own calls, such as callbacks, are
// no part of it.
func (w *world) providerURLs() []byte {
	var b bytes.Buffer
	for _, call := range worldtest.Calls(w.ours) {
		fmt.Fprintf(&b, "%s?%s\n", call.Path, call.Query.Encode())
	}
	return b.Bytes()
}

// files reads all that the gateway wrote: what is in its folder, and the store, wherever that is.
func (w *world) files(t *testing.T, sinks map[string][]byte, prefix string) {
	t.Helper()
	for _, path := range must(filepath.Glob(w.path("*")))(t) {
		if !worldtest.HoldsSecrets(path) {
			sinks[prefix+filepath.Base(path)] = must(os.ReadFile(path))(t)
		}
	}
	sinks[prefix+"PostgreSQL's log"] = must(worldtest.ServersLog())(t)
	sinks[prefix+"the store"] = must(worldtest.Stored(context.WithoutCancel(t.Context()), w.dir))(t)
}
