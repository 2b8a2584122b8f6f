package finoos_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// shipment is the documentation's sample, with its members that the documentation requires.
func shipment(processID string, more ...any) object {
	body := object{
		"address": object{
			"city": "Kassel", "countryCode": "DE", "houseNumber": "string", "postcode": "34127",
			"street":               "Universitätspl. 12",
			"streetAdditionalInfo": "PO Box 31127",
		},
		"callbackURL": "http://127.0.0.1:1/callback",
		"pdfContent":  "YXNkYXNkbGFzYXNkYXNkaWFpc29wZG9xc2lwZGFzaW9kYWlwZHNpc2FvZG9wdzkxMjM4OTEwODEyMzAxOTI4w58xwrQyMDM5McK0MzEyMzE",
		"processID":   processID,
		"recipient":   "Stadtwerke Elbufer",
		"subject":     "Kündigung",
	}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

// receiver keeps the callbacks that it got.
type receiver struct {
	url string

	mu  sync.Mutex
	got []string
}

func receive(t *testing.T) *receiver {
	t.Helper()
	rec := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) != 0 {
			t.Errorf("a callback with the body %q, %v", body, err)
		}
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.got = append(rec.got, r.Method+" "+r.URL.RequestURI())
		w.WriteHeader(http.StatusInternalServerError) // which leads to no second try
	}))
	t.Cleanup(server.Close)
	rec.url = server.URL + "/callback?token=a%20b"
	return rec
}

func (r *receiver) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func called(processID, success string) string {
	return "POST /callback?token=a%20b&requestid=" + url.QueryEscape(processID) + "&success=" + success
}

func (h *harness) sendFax(rec *receiver, processID string, more ...any) {
	h.t.Helper()
	h.call("POST", "/documentshipment/fax",
		shipment(processID, append([]any{"callbackURL", rec.url}, more...)...)).done()
}

func expect(t *testing.T, rec *receiver, want ...string) {
	t.Helper()
	if got := rec.take(); !slices.Equal(got, want) {
		t.Errorf("callbacks %q, want %q", got, want)
	}
}

func TestShipmentsAreCalledBack(t *testing.T) {
	h, rec := setup(t, finoos.Config{}), receive(t)
	h.sendFax(rec, "p/1&x")
	h.call("POST", "/documentshipment/letter",
		shipment("p2", "callbackURL", rec.url, "recipient", "Will FAIL GmbH")).done()
	h.clock.Advance(time.Second - 1)
	expect(t, rec)
	h.clock.Advance(1)
	expect(t, rec, called("p/1&x", "true"), called("p2", "false"))
	h.clock.Advance(time.Hour)
	expect(t, rec)

	pdf := sha256.Sum256([]byte("asdasdlasasdasdiaisopdoqsipdasiodaipdsisaodopw91238910812301928ß1´20391´31231"))
	want := []finoos.Shipment{
		{
			Channel: "fax", ProcessID: "p/1&x", Recipient: "Stadtwerke Elbufer", Subject: "Kündigung",
			CallbackURL: rec.url, PDFSize: 80, PDFSHA256: hex.EncodeToString(pdf[:]), AcceptedTime: start, Callbacks: 1,
		},
		{
			Channel: "letter", ProcessID: "p2", Recipient: "Will FAIL GmbH", Subject: "Kündigung", CallbackURL: rec.url,
			PDFSize: 80, PDFSHA256: hex.EncodeToString(pdf[:]), AcceptedTime: start, Callbacks: 1,
		},
	}
	if got := h.fino.Shipments(); !reflect.DeepEqual(got, want) {
		t.Errorf("shipments %+v, want %+v", got, want)
	}
	var listed struct{ Shipments []finoos.Shipment }
	h.call("GET", "/_sandbox/shipments", nil).into(&listed)
	if !reflect.DeepEqual(listed.Shipments, want) {
		t.Errorf("the control lists %+v", listed.Shipments)
	}
}

func TestCallbacksOnTheRealClock(t *testing.T) {
	core := sandbox.NewCore(sandbox.Options{Seed: seed, Step: time.Millisecond})
	server := httptest.NewServer(finoos.New(core, finoos.Config{}))
	t.Cleanup(server.Close)
	h := &harness{t: t, core: core, url: server.URL}
	h.signIn()
	got := make(chan string, 1)
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		got <- r.URL.RawQuery
	}))
	t.Cleanup(target.Close)
	h.call("POST", "/documentshipment/fax", shipment("p1", "callbackURL", target.URL)).done()
	select {
	case query := <-got:
		if query != "requestid=p1&success=true" {
			t.Errorf("query %q", query)
		}
	case <-time.After(5 * time.Second):
		t.Error("no callback")
	}
}

func TestProcessIDsAreUsedOnce(t *testing.T) {
	h := setup(t, finoos.Config{})
	h.call("POST", "/documentshipment/fax", shipment("p1")).done()
	h.call("POST", "/documentshipment/fax", shipment("p1")).refused(409, "conflict")
	h.call("POST", "/documentshipment/letter", shipment("p1")).refused(409, "conflict")
	if n := len(h.fino.Shipments()); n != 1 {
		t.Errorf("%d shipments", n)
	}
}

func TestPDFMustBeBase64(t *testing.T) {
	h := setup(t, finoos.Config{})
	for i, content := range []string{"%PDF-1.7", "YQ=", "YWJj=", "YQ===", "YW_-", "=", "Y", "\n"} {
		h.call("POST", "/documentshipment/fax", shipment(string(rune('a'+i)), "pdfContent", content)).refused(400,
			"badRequest")
	}
	for i, content := range []string{"YQ==", "YQ", "YWJj", "+/+/"} {
		h.call("POST", "/documentshipment/letter", shipment(string(rune('A'+i)), "pdfContent", content)).done()
	}
}

// A lost reply does not undo the shipment: it was accepted, and is called back.
func TestEffectOfALostReply(t *testing.T) {
	h, rec := setup(t, finoos.Config{}), receive(t)
	for _, fault := range []struct {
		hangUp string
		want   int
	}{{sandbox.HangUpBefore, 0}, {sandbox.HangUpAfter, 1}} {
		h.core.Faults.Add(sandbox.Fault{Operation: "send_fax", HangUp: fault.hangUp, Times: 1})
		req, err := http.NewRequest("POST", h.url+"/documentshipment/fax",
			jsonBody(t, shipment("p1", "callbackURL", rec.url)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", h.token)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
			t.Fatalf("answered with status %d", resp.StatusCode)
		}
		if n := len(h.fino.Shipments()); n != fault.want {
			t.Errorf("hung up %s: %d shipments, want %d", fault.hangUp, n, fault.want)
		}
	}
	h.clock.Advance(time.Second)
	expect(t, rec, called("p1", "true"))
}

func TestCallbackModes(t *testing.T) {
	h, rec := setup(t, finoos.Config{}), receive(t)
	mode := func(body object) { h.call("POST", "/_sandbox/callbacks", body).done() }

	mode(object{"mode": "never"})
	h.sendFax(rec, "a")
	h.clock.Advance(time.Hour)
	expect(t, rec)
	h.signIn()

	mode(object{"mode": "twice"})
	h.sendFax(rec, "b")
	h.clock.Advance(time.Second)
	expect(t, rec, called("b", "true"), called("b", "true"))

	mode(object{"mode": "reorder"})
	for _, id := range []string{"c", "d", "e"} {
		h.sendFax(rec, id)
	}
	h.clock.Advance(time.Second)
	expect(t, rec, called("d", "true"), called("c", "true"))
	mode(object{"mode": "once", "success": false})
	expect(t, rec, called("e", "false")) // held back until now
	h.sendFax(rec, "f")
	h.clock.Advance(time.Second)
	expect(t, rec, called("f", "false"))

	mode(object{"success": true})
	h.sendFax(rec, "g", "recipient", "fail")
	h.clock.Advance(time.Second)
	expect(t, rec, called("g", "true"))

	if got := h.call("POST", "/_sandbox/callbacks", object{"mode": "sometimes"}); got.status != http.StatusBadRequest {
		t.Errorf("an unknown mode: status %d", got.status)
	}
	counts := map[string]int{}
	for _, s := range h.fino.Shipments() {
		counts[s.ProcessID] = s.Callbacks
	}
	if want := map[string]int{
		"a": 0, "b": 2, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1,
	}; !reflect.DeepEqual(counts, want) {
		t.Errorf("counted %v, want %v", counts, want)
	}
}

// carrier delivers callbacks in place of the network.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// TestCloseEndsCallbacks: Close waits for a callback under way, unless its context ends, and none comes later.
func TestCloseEndsCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, answered := 0, make(chan struct{})
		core := sandbox.NewCore(sandbox.Options{Seed: seed, Step: time.Second, CallbackClient: &http.Client{
			Transport: carrier(func(r *http.Request) (*http.Response, error) {
				started++
				<-answered
				return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
			}),
		}})
		fino := finoos.New(core, finoos.Config{})
		var pair tokens
		ask := func(path string, body object) {
			t.Helper()
			r := httptest.NewRequest(http.MethodPost, path, jsonBody(t, body))
			r.Header.Set("Authorization", pair.AccessToken)
			w := httptest.NewRecorder()
			fino.ServeHTTP(w, r)
			if w.Code/100 != 2 {
				t.Fatalf("%s: status %d: %s", path, w.Code, w.Body)
			}
			if w.Body.Len() > 0 {
				if err := json.Unmarshal(w.Body.Bytes(), &pair); err != nil {
					t.Fatal(err)
				}
			}
		}
		ask("/auth", object{"name": finoos.DemoName, "secret": finoos.DemoSecret})
		ask("/documentshipment/fax", shipment("under way"))
		time.Sleep(time.Second)
		ask("/documentshipment/fax", shipment("late"))
		synctest.Wait()

		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := fino.Close(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closed while a callback is under way: %v", err)
		}
		closed := false
		go func() {
			if err := fino.Close(t.Context()); err != nil {
				t.Error(err)
			}
			closed = true
		}()
		synctest.Wait()
		if closed {
			t.Error("Close does not wait for a callback under way")
		}
		close(answered)
		synctest.Wait()
		if !closed {
			t.Error("Close waits although no callback is under way")
		}
		time.Sleep(time.Hour)
		if synctest.Wait(); started != 1 {
			t.Errorf("%d callbacks, want none after Close", started-1)
		}
	})
}
