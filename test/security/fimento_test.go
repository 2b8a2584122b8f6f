package security

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/test/worldtest"
)

var _ = dialects.Add(fimento.ID, fimento.Dialect(fimento.Config{Password: "s3cr3t/pass+word%of&fimento"}))

// TestForgedWebhooks: 10,000 webhooks that Fimento did not send, half of them by somebody who learned the address and
// a consent's process, give no consent an event, and its provider next to no reads.
func TestForgedWebhooks(t *testing.T) {
	w := newWorld(t, worldOptions{minInterval: minInterval})
	s := w.stubs(t, keyOf(owner))
	finished := approve(t, s, w.ours, ask(t, s, fimento.ID, person()))
	waiting := ask(t, s, fimento.ID, person())
	address := ""
	eventually(t, "the webhook's registration", func() bool {
		for _, call := range w.ours.Played[fimento.ID].Core.Calls.Of(fimento.OpAddWebhook) {
			if match := worldtest.CallbackAddress.FindSubmatch(call.Body); match != nil {
				address = w.front.URL + "/callbacks/" + fimento.ID + "/webhook/" + string(match[1])
			}
		}
		return address != ""
	})
	processes := []string{finished.GetProviderReference(), waiting.GetProviderReference()}
	before := history(t, s, finished.GetName()) + history(t, s, waiting.GetName())
	reads := w.ours.Played[fimento.ID].Core.Calls.Count(fimento.OpGetProcess)
	all := calls(w.ours)
	begun := time.Now()

	named := append(worldtest.Providers(), "nobody")
	const n = 10_000
	statuses := storm(n, func(i int, r *rand.Rand) int {
		process := processes[r.IntN(len(processes))]
		body := []string{
			`{"_id":%q,"status":"customerApprovedConsent"}`,
			`{"processId":%q,"consentFlowStatus":{"current":{"code":"customerDeniedConsent"}}}`,
			`[[{"x":{"_id":%q}}]]`, `{"data":[%q,"completed","revoked"]}`,
		}[r.IntN(4)]
		to := address
		if i%2 == 0 {
			to = w.front.URL + "/callbacks/" + named[r.IntN(len(named))] + "/webhook/" + guess(r)
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
	reads = w.ours.Played[fimento.ID].Core.Calls.Count(fimento.OpGetProcess) - reads
	if others := calls(w.ours) - all - reads; reads > most || others > 1 {
		t.Errorf("%d reads in %s, want at most %d; %d other calls", reads, took, most, others)
	}
	t.Logf(
		"%d forged webhooks in %s: answers %v, 0 events, %d reads of %d consents", n, took.Round(time.Millisecond),
		statuses, reads, len(processes),
	)
}
