package e2e

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// TestWatchShipments follows shipments to delivery and to failure.
func TestWatchShipments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.finoOS().SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c := w.client(t, lending)
	for _, streaming := range streamings {
		all := watchShipments(t, c, streaming, "", "")
		for all.next(t).GetResumeToken() == "" { // the present state of all
		}
		for _, outcome := range []struct {
			success string
			status  documentsv1.Shipment_Status
		}{{"true", documentsv1.Shipment_DELIVERED}, {"false", documentsv1.Shipment_FAILED}} {
			shipment := must(c.Documents.CreateShipment(t.Context(), newShipment(
				"Notariat Nord", documentsv1.Channel_LETTER,
			)))(t)
			if shipment.GetStatus() != documentsv1.Shipment_SUBMITTED {
				t.Fatalf("a new shipment is %s", shipment.GetStatus())
			}
			one := watchShipments(t, c, streaming, shipment.GetName(), "")
			state := one.next(t)
			if state.GetKind() != documentsv1.WatchShipmentsResponse_STATE {
				t.Fatalf("%s: got %v, want the present state", streaming, state)
			}
			wantSame(t, "the present state", state.GetShipment(), shipment)
			w.report(t, outcome.success)
			changed := one.news(t)
			if changed.GetShipment().GetStatus() != outcome.status || changed.GetShipment().GetCompleteTime() == nil {
				t.Errorf("%s: got %v, want %s", streaming, changed, outcome.status)
			}
			again := watchShipments(t, c, streaming, shipment.GetName(), state.GetResumeToken()).next(t)
			wantSame(t, "the change behind a token", again.GetShipment(), changed.GetShipment())
			for _, status := range []documentsv1.Shipment_Status{documentsv1.Shipment_SUBMITTED, outcome.status} {
				if m := all.news(t); m.GetShipment().GetName() != shipment.GetName() ||
					m.GetShipment().GetStatus() != status {
					t.Errorf("%s: the watch of all got %v, want %s", streaming, m, status)
				}
			}
			one.leave()
		}
		all.leave()
	}
}

// report makes finoOS's report on the newest shipment.
func (w *world) report(t *testing.T, success string) {
	t.Helper()
	accepted := w.finoOS().Shipments()
	newest := accepted[len(accepted)-1]
	if status := post(t, newest.CallbackURL+"?requestid="+newest.ProcessID+"&success="+success, ""); status/100 != 2 {
		t.Fatalf("the report was answered with %d", status)
	}
}

// TestFaxReplyLost: finoOS took a fax and its answer got lost. The caller hears that it may have happened; the fax is
// never sent again, not with another secret of the account's either, and finoOS's report settles what became of it.
func TestFaxReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.finoOS().SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	c, whole := w.client(t, lending), t
	for _, fault := range []struct {
		what  string
		fault sandbox.Fault
	}{
		{"the connection closes instead of an answer", sandbox.Fault{
			Operation: "send_fax", HangUp: sandbox.HangUpAfter, Times: 1,
		}},
		{"a proxy answers 502", sandbox.Fault{Operation: "send_fax", Status: 502, Times: 1}},
	} {
		t.Run(fault.what, func(t *testing.T) {
			accepted := len(w.finoOS().Shipments())
			request := newShipment("Notariat Nord", documentsv1.Channel_FAX)
			sent := w.core(finoos.ID).Calls.Count("send_fax")
			w.core(finoos.ID).Faults.Add(fault.fault)
			_, err := c.Documents.CreateShipment(t.Context(), request)
			first := wantReason(t, err, "OUTCOME_UNKNOWN")
			name := first.metadata["shipment"]
			if first.code != codes.Aborted || name == "" {
				t.Fatalf("got %v with %v, want ABORTED and the shipment's name", first, first.metadata)
			}
			shipment := must(c.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: name}))(t)
			if shipment.GetStatus() != documentsv1.Shipment_OUTCOME_UNKNOWN {
				t.Errorf("the shipment is %s", shipment.GetStatus())
			}
			for range 3 {
				_, err := c.Documents.CreateShipment(t.Context(), request)
				if again := wantReason(t, err, "OUTCOME_UNKNOWN"); again.metadata["shipment"] != name {
					t.Errorf("the same key gives another shipment: %v", again.metadata)
				}
			}
			w.restart(t, func() {
				w.replace(whole, map[credential]string{{finoos.ID, "secret"}: "another-secret"})
			})
			c = w.client(t, lending)
			_, err = c.Documents.CreateShipment(t.Context(), request)
			wantReason(t, err, "OUTCOME_UNKNOWN")
			if n := w.core(finoos.ID).Calls.Count("send_fax") - sent; n != 1 {
				t.Errorf("the fax was sent %d times", n)
			}
			if fault.fault.Status != 0 { // it was not taken, and nobody will ever report
				return
			}
			if n := len(w.finoOS().Shipments()) - accepted; n != 1 {
				t.Fatalf("finoOS took %d faxes, want 1", n)
			}
			w.report(t, "true")
			if settled := delivered(t, c, name, documentsv1.Shipment_DELIVERED); settled.GetCompleteTime() == nil {
				t.Error("a delivered shipment has no completeTime")
			}
		})
	}
}

// TestKilledWhileSending: the gateway dies while finoOS is being asked. After it starts again the fax stands as what
// it is, and the same key does not send it again.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.finoOS().SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	request := newShipment("Notariat Nord", documentsv1.Channel_FAX)
	w.core(finoos.ID).Faults.Add(sandbox.Fault{Operation: "send_fax", Delay: time.Hour, Times: 1})
	called := make(chan error, 1)
	c := w.client(t, lending)
	go func() {
		_, err := c.Documents.CreateShipment(t.Context(), request)
		called <- err
	}()
	eventually(t, "the fax to be under way", func() bool { return w.core(finoos.ID).Calls.Count("send_fax") == 1 })
	w.gateway.Kill()
	if f := failed(<-called); f == nil || f.code != codes.Unavailable {
		t.Errorf("the caller got %v", f)
	}
	w.forget()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	c = w.client(t, lending)
	_, err := c.Documents.CreateShipment(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	if n := w.core(finoos.ID).Calls.Count("send_fax"); n != 1 {
		t.Errorf("the fax was sent %d times", n)
	}
	list := must(c.Documents.ListShipments(t.Context(), &documentsv1.ListShipmentsRequest{}))(t).GetShipments()
	if len(list) != 1 || list[0].GetStatus() != documentsv1.Shipment_OUTCOME_UNKNOWN {
		t.Errorf("the shipments are %v", list)
	}
	// A new fax goes its way.
	if got := must(c.Documents.CreateShipment(t.Context(), newShipment(
		"Notariat Nord", documentsv1.Channel_FAX,
	)))(t); got.GetStatus() != documentsv1.Shipment_SUBMITTED {
		t.Errorf("the next fax is %s", got.GetStatus())
	}
}

// TestUserReplyLost: finoOS made a user and its answer got lost. Nobody knows the user's id, so the user is an
// orphan, and shows as one.
func TestUserReplyLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	w.core(finoos.ID).Faults.Add(sandbox.Fault{Operation: "create_user", HangUp: sandbox.HangUpAfter, Times: 1})
	request := newConsent(w, finoos.ID)
	_, err := c.Consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	_, err = c.Consents.CreateConsent(t.Context(), request)
	wantReason(t, err, "OUTCOME_UNKNOWN")
	if n := w.core(finoos.ID).Calls.Count("create_user"); n != 1 {
		t.Errorf("finoOS was asked for a user %d times with one key", n)
	}
	fresh := w.createConsent(t, c, finoos.ID)
	orphans, owned := users(t, c)
	if len(orphans) != 1 || len(owned) != 1 ||
		owned["providers/finoos/users/"+fresh.GetProviderReference()] != fresh.GetCustomer() {
		t.Errorf("the users are %v, and orphans %v", owned, orphans)
	}
}
