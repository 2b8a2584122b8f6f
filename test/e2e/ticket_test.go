package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

// TestWatchTicket: a browser follows one consent with a ticket and no key. It sees how the consent stands and nothing
// else, resumes by itself, and gets no further with the ticket.
func TestWatchTicket(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	browser := *c
	browser.key = ""
	consent, other := w.createConsent(t, c, anybody), w.createConsent(t, c, anybody)
	made := must(c.Consents.CreateWatchTicket(t.Context(), &consentv1.CreateWatchTicketRequest{
		Name: consent.GetName(),
	}))(t)
	w.secret(made.GetTicket(), "a watch ticket")
	page := "/v1/" + consent.GetName() + ":watch?ticket=" + made.GetTicket()

	follow := func(h headers) (*http.Response, func()) {
		ctx, leave := context.WithCancel(t.Context())
		resp, err := browser.send(ctx, http.MethodGet, page, nil, h)
		if err != nil {
			t.Fatal(err)
		}
		return resp, func() { leave(); _ = resp.Body.Close() }
	}
	// Any number of times, but not for any number of streams.
	const most = 8
	for range 3 * most {
		resp, leave := follow(headers{"accept": "text/event-stream"})
		defer leave()
		if resp.StatusCode == http.StatusTooManyRequests {
			break
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("a stream with a ticket has status %d", resp.StatusCode)
		}
	}
	resp, leave := follow(nil)
	if resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("more than %d streams of a consent are served: %d", most, resp.StatusCode)
	}
	leave()
	if _, err := c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}); err != nil {
		t.Errorf("the client itself is not served: %v", err)
	}

	// What the ticket is not good for.
	ticket := "?ticket=" + made.GetTicket()
	for path, want := range map[string]int{
		"/v1/" + other.GetName() + ":watch" + ticket:                 http.StatusNotFound,
		"/v1/consents:watch" + ticket:                                http.StatusNotFound,
		"/v1/" + consent.GetName() + ticket:                          http.StatusUnauthorized,
		"/v1/" + consent.GetName() + ":watch?ticket=nonsense":        http.StatusUnauthorized,
		"/v1/" + consent.GetName() + ":watch?ticket=":                http.StatusUnauthorized,
		"/v1/" + consent.GetName() + ":watch" + ticket + "&ticket=x": http.StatusBadRequest,
	} {
		if status, body := browser.rest(t, http.MethodGet, path, nil, nil); status != want &&
			status != http.StatusTooManyRequests {
			t.Errorf("GET %s is %d, want %d: %v", strings.ReplaceAll(path, made.GetTicket(), "..."), status, want, body)
		}
	}
	for method, path := range map[string]string{
		http.MethodGet: "/v1/consents", http.MethodDelete: "/v1/" + consent.GetName(),
	} {
		if status, _ := browser.rest(t, method, path, nil, headers{
			"authorization": "Ticket " + made.GetTicket(),
		}); status != http.StatusUnauthorized {
			t.Errorf("%s %s with a ticket as the authorization is %d", method, path, status)
		}
	}
}

// TestWatchTicketShows: what a browser reads has the keys that it may see, and no others.
func TestWatchTicketShows(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	browser := *c
	browser.key = ""
	consent := w.createConsent(t, c, anybody)
	made := must(c.Consents.CreateWatchTicket(t.Context(), &consentv1.CreateWatchTicketRequest{
		Name: consent.GetName(),
	}))(t)
	resp, err := browser.send(t.Context(), http.MethodGet,
		"/v1/"+consent.GetName()+":watch?ticket="+made.GetTicket(), nil, headers{"accept": "text/event-stream"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() map[string]any {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				message := map[string]any{}
				if err := json.Unmarshal([]byte(data), &message); err != nil {
					t.Fatal(err)
				}
				return message
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return nil
	}
	shown := map[string]bool{
		"kind": true, "consent": true, "consent.name": true, "consent.status": true, "consent.dataStage": true,
		"consent.connections": true, "consent.connections.status": true, "event": true, "event.type": true,
		"resumeToken": true, "sendTime": true,
	}
	var check func(path string, value any)
	check = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				at := strings.TrimPrefix(path+"."+key, ".")
				if !shown[at] {
					t.Errorf("%s is shown", at)
				}
				check(at, inner)
			}
		case []any:
			for _, inner := range value {
				check(path, inner)
			}
		}
	}
	first := next()
	check("", first)
	if first["kind"] != "STATE" {
		t.Errorf("the stream begins with %v", first)
	}
	w.approve(t, c, consent)
	for {
		message := next()
		check("", message)
		if event, ok := message["event"].(map[string]any); ok && event["type"] == "COMPLETED" {
			return
		}
	}
}
