package security

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// TestForgedCallbacks: 1,000 reports on shipments and returns of customers that nobody sent are not found, also those
// with a token that is good for something else, and change nothing.
func TestForgedCallbacks(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: minInterval})
	sandboxes.As[*finoos.Server](w.ours, finoos.ID).SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	s := w.stubs(t, keyOf(owner))
	shipments := []*documentsv1.Shipment{}
	for range 2 {
		shipments = append(
			shipments,
			must(s.Documents.CreateShipment(t.Context(), letter("Notariat Nord", []byte("%PDF-1.4\n"))))(t),
		)
	}
	made := time.Now()
	consents := []*consentv1.Consent{ask(t, s, finoos.ID, nil), ask(t, s, finoos.ID, nil)}
	tokens := map[string][]string{}
	for _, call := range w.ours.Played[finoos.ID].Core.Calls.All() {
		for _, match := range worldtest.CallbackAddress.FindAllSubmatch(call.Body, -1) {
			kind := "redirects"
			if strings.Contains(string(match[0]), "/shipments/") {
				kind = "shipments"
			}
			tokens[kind] = append(tokens[kind], string(match[1]))
		}
	}
	if len(tokens["shipments"]) != 2 || len(tokens["redirects"]) < 2 {
		t.Fatalf("found %d tokens of shipments and %d of redirects", len(tokens["shipments"]), len(tokens["redirects"]))
	}
	id := func(i int) string { return strings.TrimPrefix(shipments[i%2].GetName(), "shipments/") }
	user := func(i int) string { return consents[i%2].GetProviderReference() }
	before := history(t, s, consents[0].GetName()) + history(t, s, consents[1].GetName())
	polled := func() int { return w.ours.Played[finoos.ID].Core.Calls.Count("get_logins") }
	asked, reads := calls(w.ours), polled()

	const n = 1000
	statuses := storm(n, func(i int, r *rand.Rand) int {
		at := w.front.URL + "/callbacks/"
		shipment, redirect := tokens["shipments"][i%2], tokens["redirects"][i%len(tokens["redirects"])]
		switch i % 8 {
		case 0: // a guess
			return post(t, at+"shipments/"+guess(r)+"?success=true&requestid="+id(i), "")
		case 1: // the token of another shipment
			return post(t, at+"shipments/"+shipment+"?success=true&requestid="+id(i+1), "")
		case 2: // a redirect's token
			return post(t, at+"shipments/"+redirect+"?success=false&requestid="+id(i), "")
		case 3: // a report that says nothing
			return post(t, at+"shipments/"+shipment+"?success=perhaps&requestid="+id(i), "")
		case 4: // its hash, or a part
			return post(t, at+"shipments/"+shipment[:40]+"?success=true&requestid="+id(i), "")
		case 5: // a guess
			return visit(t, at+"redirects/"+guess(r)+"/success?userID="+user(i))
		case 6: // a shipment's token
			return visit(t, at+"redirects/"+shipment+"/success?userID="+user(i))
		default: // of another session: its user does not fit
			return visit(t, at+"redirects/"+redirect+"/success?userID=0123456789abcdef01234567")
		}
	})
	if statuses[http.StatusNotFound] != n {
		t.Errorf("answers: %v", statuses)
	}
	for _, shipment := range shipments {
		if now := must(s.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{
			Name: shipment.GetName(),
		}))(t); now.GetStatus() != documentsv1.Shipment_SUBMITTED {
			t.Errorf("a shipment is %s", now.GetStatus())
		}
	}
	if after := history(
		t, s, consents[0].GetName(),
	) + history(t, s, consents[1].GetName()); strip(after) != strip(before) {
		t.Errorf("consents changed:\n%s\n%s", before, after)
	}
	// Nothing but a read of each consent for each interval since it was made, if a slow machine took that long.
	reads = polled() - reads
	if others := calls(w.ours) - asked - reads; others > 0 || reads > len(consents)*int(time.Since(made)/minInterval) {
		t.Errorf("providers were asked %d times, and for %d reads", others, reads)
	}
	// The tokens are good: with all that belongs to them they are taken.
	accepted := 0
	for _, token := range tokens["shipments"] {
		for i := range shipments {
			if post(
				t, w.front.URL+"/callbacks/shipments/"+token+"?success=true&requestid="+id(i), "",
			) == http.StatusNoContent {
				accepted++
			}
		}
	}
	if accepted != len(shipments) {
		t.Errorf("%d true reports were taken, want %d", accepted, len(shipments))
	}
	t.Logf("%d forged callbacks: answers %v, 0 transitions, %d planned reads, 0 other calls to providers", n, statuses,
		reads)
}
