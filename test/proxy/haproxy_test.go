// Package proxy tests gateways behind a proxy that callers meet in their place, with the configurations that deploy/
// has for it: gRPC, REST and streams, where a call came from, and a gateway that goes away.
package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
)

// TestHAProxy calls over gRPC and REST, and follows a consent over both for longer than a connection may be silent.
func TestHAProxy(t *testing.T) {
	w := start(t, shipped, 1)
	id := uuid.NewString()
	consent, err := w.grpc.Consents.CreateConsent(w.asGRPC(t, id), &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{Market: sandbox.Sweden}, Psu: &consentv1.Psu{NationalId: sandbox.GoodNationalID},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cameFrom(t, id)

	id = uuid.NewString()
	response, err := w.http.Do(w.asREST(t, http.MethodGet, "/v1/"+consent.GetName(), "", id))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 ||
		!strings.Contains(string(body), consent.GetName()) {
		t.Errorf("%s %s, %v: %s", response.Proto, response.Status, err, body)
	}
	w.cameFrom(t, id)

	beats := int(3*silence/beat) + 1
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		stream, err := w.grpc.Consents.WatchConsents(w.asGRPC(t, uuid.NewString()),
			&consentv1.WatchConsentsRequest{Consent: consent.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		for silent := 0; silent < beats; {
			message, err := stream.Recv()
			if err != nil {
				t.Fatalf("the stream ended after %d heartbeats: %v", silent, err)
			}
			if message.GetKind() == consentv1.WatchConsentsResponse_HEARTBEAT {
				silent++
			}
		}
	})
	t.Run("SSE", func(t *testing.T) {
		t.Parallel()
		request := w.asREST(t, http.MethodGet, "/v1/"+consent.GetName()+":watch", "", uuid.NewString())
		request.Header.Set("Accept", "text/event-stream")
		response, err := w.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		silent := 0
		for lines := bufio.NewScanner(response.Body); silent < beats; {
			if !lines.Scan() {
				t.Fatalf("%s: the stream ended after %d heartbeats: %v", response.Status, silent, lines.Err())
			}
			if lines.Text() == "event: heartbeat" {
				silent++
			}
		}
	})
}
