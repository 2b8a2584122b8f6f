package security

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// minInterval is the shortest time between two reads of a consent that nobody authenticated asked for, as it is by default.
const minInterval = 5 * time.Second

// guess is a token as an attacker would make one.
func guess(r *rand.Rand) string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(r.UintN(256))
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// storm sends n requests from many senders at once and counts the answers by status.
func storm(n int, send func(i int, r *rand.Rand) int) map[int]int {
	var senders sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex
	statuses := map[int]int{}
	for sender := range 16 {
		senders.Go(func() {
			r := rand.New(rand.NewPCG(uint64(*seed), uint64(sender)))
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				status := send(i, r)
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	return statuses
}

// TestForgedWebhooks: 10,000 webhooks that Fimento did not send, half of them by somebody who learned the address and a consent's process, give
// no consent an event, and its provider next to no reads.
func TestForgedWebhooks(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: minInterval})
	s := w.stubs(t, keyOf(owner))
	finished := approve(t, s, w.ours, ask(t, s, fimentoID, person()))
	waiting := ask(t, s, fimentoID, person())
	address := ""
	eventually(t, "the webhook's registration", func() bool {
		for _, call := range w.ours.FimentoCore.Calls.Of(fimento.OpAddWebhook) {
			if match := callbackAddress.FindSubmatch(call.Body); match != nil {
				address = w.front.URL + "/callbacks/fimento/webhook/" + string(match[1])
			}
		}
		return address != ""
	})
	processes := []string{finished.GetProviderReference(), waiting.GetProviderReference()}
	before := history(t, s, finished.GetName()) + history(t, s, waiting.GetName())
	reads := w.ours.FimentoCore.Calls.Count(fimento.OpGetProcess)
	all := calls(w.ours)
	begun := time.Now()

	const n = 10_000
	statuses := storm(n, func(i int, r *rand.Rand) int {
		process := processes[r.IntN(len(processes))]
		body := []string{
			`{"_id":%q,"status":"customerApprovedConsent"}`, `{"processId":%q,"consentFlowStatus":{"current":{"code":"customerDeniedConsent"}}}`,
			`[[{"x":{"_id":%q}}]]`, `{"data":[%q,"completed","revoked"]}`,
		}[r.IntN(4)]
		to := address
		if i%2 == 0 {
			to = w.front.URL + "/callbacks/" + []string{"fimento", "finoos", "nobody"}[r.IntN(3)] + "/webhook/" + guess(r)
		}
		return post(t, to, fmt.Sprintf(body, process))
	})
	took := time.Since(begun)
	if statuses[http.StatusNotFound] != n/2 || statuses[http.StatusNoContent] != n/2 {
		t.Errorf("answers: %v", statuses)
	}
	if after := history(t, s, finished.GetName()) + history(t, s, waiting.GetName()); strip(after) != strip(before) {
		t.Errorf("consents changed:\n%s\n%s", before, after)
	}
	// One read for each consent and interval that began.
	most := len(processes) * (int(took/minInterval) + 2)
	reads = w.ours.FimentoCore.Calls.Count(fimento.OpGetProcess) - reads
	if others := calls(w.ours) - all - reads; reads > most || others > 1 {
		t.Errorf("%d reads in %s, want at most %d; %d other calls", reads, took, most, others)
	}
	t.Logf("%d forged webhooks in %s: answers %v, 0 events, %d reads of %d consents", n, took.Round(time.Millisecond), statuses, reads, len(processes))
}

// strip leaves out the blanks that protobuf puts in at random.
func strip(text string) string { return strings.ReplaceAll(text, " ", "") }

// TestForgedCallbacks: 1,000 reports on shipments and returns of customers that nobody sent are not found, also those with a token that is
// good for something else, and change nothing.
func TestForgedCallbacks(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: minInterval})
	w.ours.FinoOS.SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	s := w.stubs(t, keyOf(owner))
	shipments := []*documentsv1.Shipment{}
	for range 2 {
		shipments = append(shipments, must(s.documents.CreateShipment(t.Context(), letter("Notariat Nord", []byte("%PDF-1.4\n"))))(t))
	}
	consents := []*consentv1.Consent{ask(t, s, finoosID, nil), ask(t, s, finoosID, nil)}
	tokens := map[string][]string{}
	for _, call := range w.ours.FinoOSCore.Calls.All() {
		for _, match := range callbackAddress.FindAllSubmatch(call.Body, -1) {
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
	asked := calls(w.ours)

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
		if now := must(s.documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{Name: shipment.GetName()}))(t); now.GetStatus() != documentsv1.Shipment_SUBMITTED {
			t.Errorf("a shipment is %s", now.GetStatus())
		}
	}
	if after := history(t, s, consents[0].GetName()) + history(t, s, consents[1].GetName()); strip(after) != strip(before) {
		t.Errorf("consents changed:\n%s\n%s", before, after)
	}
	if n := calls(w.ours) - asked; n != 0 {
		t.Errorf("providers were asked %d times", n)
	}
	// The tokens are good: with all that belongs to them they are taken.
	accepted := 0
	for _, token := range tokens["shipments"] {
		for i := range shipments {
			if post(t, w.front.URL+"/callbacks/shipments/"+token+"?success=true&requestid="+id(i), "") == http.StatusNoContent {
				accepted++
			}
		}
	}
	if accepted != len(shipments) {
		t.Errorf("%d true reports were taken, want %d", accepted, len(shipments))
	}
	t.Logf("%d forged callbacks: answers %v, 0 transitions, 0 calls to providers", n, statuses)
}
