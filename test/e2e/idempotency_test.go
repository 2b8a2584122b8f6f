package e2e

import (
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// creation is a creating request that is made many times with one key.
type creation struct {
	what     string
	rpc      string
	setup    string
	provider string
	request  object
	change   func(object) // makes another request of it
	upstream upstreamCalls
	callers  int

	key    string
	answer proto.Message
}

// TestIdempotency: callers who make one request with one key at the same time, over both transports, all get the same answer, and the provider
// is asked once. Another request with the key is refused. A restart changes nothing.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	back := w.app.URL + "/back/success"
	creations := []*creation{
		{
			what: "customer", rpc: "kontor.customer.v1.CustomerService/CreateCustomer", setup: "none", callers: 100,
			request: object{"customer": object{"type": "PERSON", "reference": uuid.NewString()}},
			change:  func(r object) { r["customer"] = object{"type": "COMPANY"} },
		}, {
			what: "consent at Fimento", rpc: "kontor.consent.v1.ConsentService/CreateConsent", setup: "none", callers: 100,
			request:  object{"consent": object{"market": "SE"}, "psu": object{"nationalId": sandbox.GoodNationalID}},
			change:   func(r object) { r["psu"] = object{"nationalId": sandbox.BadNationalID} },
			upstream: upstreamCalls{"create_process": 1},
		}, {
			what: "consent at finoOS", rpc: "kontor.consent.v1.ConsentService/CreateConsent", setup: "none", callers: 100,
			request:  object{"consent": object{"market": "DE", "redirectUris": object{"success": back, "error": back, "exit": back}}},
			change:   func(r object) { r["customerType"] = "COMPANY" },
			upstream: upstreamCalls{"create_user": 1, "connect": 1},
		}, {
			what: "another bank at Fimento", rpc: "kontor.consent.v1.ConsentService/AddBank", setup: "authorized", provider: fimentoID, callers: 20,
			request:  object{"name": "${consent}"},
			upstream: upstreamCalls{"new_consent_flow": 1},
		}, {
			what: "another bank at finoOS", rpc: "kontor.consent.v1.ConsentService/AddBank", setup: "authorized", provider: finoosID, callers: 20,
			request:  object{"name": "${consent}"},
			upstream: upstreamCalls{"banking_overview": 1},
		}, {
			what: "partner bank", rpc: "kontor.consent.v1.ConsentService/CreatePartnerBank", setup: "none", callers: 20,
			request:  object{"partnerBank": object{"displayName": "Sparbanken"}},
			change:   func(r object) { r["partnerBank"] = object{"displayName": "Andelsbanken"} },
			upstream: upstreamCalls{"create_partner_bank": 1},
		}, {
			what: "import", rpc: "kontor.banking.v1.BankingService/ImportConnections", setup: "importer", callers: 20,
			request: object{"name": "${customer}", "connections": []any{object{"id": "l", "bank": object{"displayName": "B"}, "accounts": []any{
				object{"id": "a", "balance": object{"value": "0.10", "currencyCode": "EUR"}},
			}}}},
			change:   func(r object) { r["mode"] = "REPLACE" },
			upstream: upstreamCalls{"create_user": 1, "update_logins": 1},
		}, {
			what: "fax", rpc: "kontor.documents.v1.DocumentService/CreateShipment", setup: "none", callers: 100,
			request: object{"shipment": object{
				"channel": "FAX", "recipient": "Notariat Nord", "subject": "Contract", "pdf": pdf, "address": object{"city": "Hamburg", "countryCode": "DE"},
			}},
			change:   func(r object) { r["shipment"].(object)["subject"] = "Another contract" },
			upstream: upstreamCalls{"send_fax": 1},
		},
	}
	for _, c := range creations {
		t.Run(c.what, func(t *testing.T) { c.many(t, w) })
	}
	t.Run("another tenant", func(t *testing.T) {
		got, err := w.client(t, acme).call(t.Context(), overGRPC, methods()[creations[0].rpc], creations[0].keyed(), nil, 0)
		if err != nil || got.failure != nil {
			t.Fatal(err, got.failure)
		}
		if proto.Equal(got.messages[0], creations[0].answer) {
			t.Error("two tenants with the same key got the same customer")
		}
	})
	w.restart(t, nil)
	before := w.calls()
	for _, c := range creations {
		if c.answer == nil {
			continue // has failed before
		}
		for i := range 2 {
			r := c.once(t, w, i)
			if r.failure != nil {
				t.Errorf("%s after a restart: %v", c.what, r.failure)
				continue
			}
			wantSame(t, c.what+" after a restart", r.messages[0], c.answer)
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("after the restart the providers were asked again: %v", made)
	}
}

// keyed is the request with its key.
func (c *creation) keyed() object {
	request := maps.Clone(c.request)
	request["requestId"] = c.key
	return request
}

// once makes the request: over gRPC with the key in it, or over REST with the key in the header.
func (c *creation) once(t *testing.T, w *world, i int) reply {
	t.Helper()
	client, method := w.client(t, lending), methods()[c.rpc]
	var got reply
	var err error
	if i%2 == 0 {
		got, err = client.callGRPC(t.Context(), method, c.keyed(), psuIP, 0)
	} else {
		got, err = client.callREST(t.Context(), method, c.request, psuIP.with("idempotency-key", c.key), 0)
	}
	if err != nil {
		t.Error(err)
	}
	return got
}

func (c *creation) many(t *testing.T, w *world) {
	c.request, _ = setups[c.setup](t, w, w.client(t, lending), c.provider).substitute(t, c.request).(object)
	c.key = uuid.NewString()
	before := w.calls()
	answers := make([]reply, c.callers)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() { answers[i] = c.once(t, w, i) })
	}
	callers.Wait()
	for i, answer := range answers {
		if answer.failure != nil || len(answer.messages) != 1 {
			t.Fatalf("caller %d: %v", i, answer.failure)
		}
		if !proto.Equal(answer.messages[0], answers[0].messages[0]) {
			t.Fatalf("caller %d got %v, caller 0 %v", i, answer.messages[0], answers[0].messages[0])
		}
	}
	if made := w.callsSince(before); !maps.Equal(made, c.upstream) {
		t.Errorf("%d callers made the gateway call %v, want %v", c.callers, made, c.upstream)
	}
	c.answer = answers[0].messages[0]
	if c.change == nil {
		return
	}
	other, err := deepCopy(c.request)
	if err != nil {
		t.Fatal(err)
	}
	c.change(other)
	before = w.calls()
	for _, transport := range transports {
		h := psuIP.with("idempotency-key", c.key)
		got, err := w.client(t, lending).call(t.Context(), transport, methods()[c.rpc], other, h, 0)
		if err != nil {
			t.Fatal(err)
		}
		if f := got.failure; f == nil || f.code != codes.AlreadyExists || f.reason != "IDEMPOTENCY_KEY_REUSED" {
			t.Errorf("another request with the key over %s: got %v, want IDEMPOTENCY_KEY_REUSED", transport, f)
		}
	}
	if made := w.callsSince(before); len(made) > 0 {
		t.Errorf("another request with the key made the gateway call %v", made)
	}
}

// TestFaxReplyLost: finoOS took a fax and its answer got lost. The caller hears that it may have happened; the fax is never sent again, and
// finoOS's report settles what became of it.
func TestFaxReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	for _, fault := range []struct {
		what  string
		fault sandbox.Fault
	}{
		{"the connection closes instead of an answer", sandbox.Fault{Operation: "send_fax", HangUp: sandbox.HangUpAfter, Times: 1}},
		{"a proxy answers 502", sandbox.Fault{Operation: "send_fax", Status: 502, Times: 1}},
	} {
		t.Run(fault.what, func(t *testing.T) {
			accepted := len(w.FinoOS.Shipments())
			request := newShipment("Notariat Nord", documentsv1.Shipment_FAX)
			sent := w.FinoOSCore.Calls.Count("send_fax")
			w.FinoOSCore.Faults.Add(fault.fault)
			_, err := c.documents.CreateShipment(t.Context(), request)
			first := wantReason(t, err, "OUTCOME_UNKNOWN")
			name := first.metadata["shipment"]
			if first.code != codes.Aborted || name == "" {
				t.Fatalf("got %v with %v, want ABORTED and the shipment's name", first, first.metadata)
			}
			shipment := must(c.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: name}))(t)
			if shipment.GetStatus() != documentsv1.Shipment_OUTCOME_UNKNOWN {
				t.Errorf("the shipment is %s", shipment.GetStatus())
			}
			for range 3 {
				_, err := c.documents.CreateShipment(t.Context(), request)
				if again := wantReason(t, err, "OUTCOME_UNKNOWN"); again.metadata["shipment"] != name {
					t.Errorf("the same key gives another shipment: %v", again.metadata)
				}
			}
			w.restart(t, nil)
			c = w.client(t, lending)
			_, err = c.documents.CreateShipment(t.Context(), request)
			wantReason(t, err, "OUTCOME_UNKNOWN")
			if n := w.FinoOSCore.Calls.Count("send_fax") - sent; n != 1 {
				t.Errorf("the fax was sent %d times", n)
			}
			if fault.fault.Status != 0 { // it was not taken, and nobody will ever report
				return
			}
			if n := len(w.FinoOS.Shipments()) - accepted; n != 1 {
				t.Fatalf("finoOS took %d faxes, want 1", n)
			}
			w.report(t, "true")
			if settled := delivered(t, c, name, documentsv1.Shipment_DELIVERED); settled.GetCompleteTime() == nil {
				t.Error("a delivered shipment has no completeTime")
			}
		})
	}
}

// TestKilledWhileSending: the gateway dies while finoOS is being asked. After it starts again the fax stands as what it is, and the same key
// does not send it again.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	request := newShipment("Notariat Nord", documentsv1.Shipment_FAX)
	w.FinoOSCore.Faults.Add(sandbox.Fault{Operation: "send_fax", Delay: time.Hour, Times: 1})
	called := make(chan error, 1)
	c := w.client(t, lending)
	go func() {
		_, err := c.documents.CreateShipment(t.Context(), request)
		called <- err
	}()
	eventually(t, "the fax to be under way", func() bool { return w.FinoOSCore.Calls.Count("send_fax") == 1 })
	if err := w.gateway.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-w.gateway.done
	if f := failed(<-called); f == nil || f.code != codes.Unavailable {
		t.Errorf("the caller got %v", f)
	}
	w.forget()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	c = w.client(t, lending)
	_, err := c.documents.CreateShipment(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	if n := w.FinoOSCore.Calls.Count("send_fax"); n != 1 {
		t.Errorf("the fax was sent %d times", n)
	}
	list := must(c.documents.ListShipments(t.Context(), &documentsv1.ListShipmentsRequest{}))(t).GetShipments()
	if len(list) != 1 || list[0].GetStatus() != documentsv1.Shipment_OUTCOME_UNKNOWN {
		t.Errorf("the shipments are %v", list)
	}
	// A new fax goes its way.
	if got := must(c.documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Shipment_FAX)))(t); got.GetStatus() != documentsv1.Shipment_SUBMITTED {
		t.Errorf("the next fax is %s", got.GetStatus())
	}
}

// TestConsentReplyLost: Fimento made a process and its answer got lost. The same key finds the process again.
func TestConsentReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	request := newConsent(w, fimentoID)
	w.FimentoCore.Faults.Add(sandbox.Fault{Operation: "create_process", HangUp: sandbox.HangUpAfter, Times: 1})
	_, err := c.consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	consent := must(c.consents.CreateConsent(t.Context(), request))(t)
	again := must(c.consents.CreateConsent(t.Context(), request))(t)
	wantSame(t, "the consent", again, consent)
	calls := w.FimentoCore.Calls.Of("create_process")
	if len(calls) != 2 || calls[0].Header.Get("Idempotency-Key") == "" || calls[0].Header.Get("Idempotency-Key") != calls[1].Header.Get("Idempotency-Key") {
		t.Errorf("Fimento was asked %d times, and could not tell that it was the same", len(calls))
	}
	if calls[0].Header.Get("Idempotency-Key") == request.GetRequestId() {
		t.Error("the caller's key was handed on as it is")
	}
	customers := must(c.customers.ListCustomers(t.Context(), &customerv1.ListCustomersRequest{}))(t).GetCustomers()
	consents := must(c.consents.ListConsents(t.Context(), &consentv1.ListConsentsRequest{}))(t).GetConsents()
	if len(customers) != 1 || len(consents) != 1 {
		t.Errorf("there are %d customers and %d consents, want one of each", len(customers), len(consents))
	}
}

// TestUserReplyLost: finoOS made a user and its answer got lost. Nobody knows the user's id, so the user is an orphan, and shows as one.
func TestUserReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	w.FinoOSCore.Faults.Add(sandbox.Fault{Operation: "create_user", HangUp: sandbox.HangUpAfter, Times: 1})
	request := newConsent(w, finoosID)
	_, err := c.consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	_, err = c.consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	if n := w.FinoOSCore.Calls.Count("create_user"); n != 1 {
		t.Errorf("finoOS was asked for a user %d times with one key", n)
	}
	fresh := w.createConsent(t, c, finoosID)
	orphans, owned := users(t, c)
	if len(orphans) != 1 || len(owned) != 1 || owned["providers/finoos/users/"+fresh.GetProviderReference()] != fresh.GetCustomer() {
		t.Errorf("the users are %v, and orphans %v", owned, orphans)
	}
}
