package crash

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// line is one of `gateway audit export`: an entry, or a checkpoint. How an entry is sealed changes while the gateway
// runs.
type line struct {
	entry

	Sequence   int64     `json:"sequence"`
	Chain      string    `json:"chain"`
	Checkpoint string    `json:"checkpoint"`
	Made       time.Time `json:"made"`
}

// entry is one of the audit trail.
type entry struct {
	Position  int64     `json:"position"`
	Time      time.Time `json:"time"`
	Tenant    string    `json:"tenant"`
	Actor     string    `json:"actor"`
	Method    string    `json:"method"`
	Resource  string    `json:"resource"`
	Peer      string    `json:"peer"`
	RequestID string    `json:"requestId"`
	Outcome   string    `json:"outcome"`
}

// audit exports the audit trail, beside the running gateway.
func (w *world) audit(args ...string) (entries []entry) {
	w.t.Helper()
	if err := worldtest.Settled(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(w.run(append([]string{"audit", "export"}, args...)...)))
	decoder.DisallowUnknownFields()
	for {
		var l line
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			return entries
		} else if err != nil {
			w.t.Fatal(err)
		}
		if l.Checkpoint == "" {
			entries = append(entries, l.entry)
		}
	}
}

// of gives the entries of one request.
func of(entries []entry, requestID string) (found []entry) {
	for _, e := range entries {
		if e.RequestID == requestID {
			found = append(found, e)
		}
	}
	return found
}

// person is somebody whose data must stand in no entry and, once deleted, in no file.
var person = &consentv1.Psu{NationalId: "199503096316", FirstName: "Canaria", LastName: "Vogelsang"}

// audited is a call with what it leaves in the audit.
type audited struct {
	method string
	do     func(context.Context) (proto.Message, error)
	// outcome is the entry's; OK unless set. about is its resource, that of the answer unless set.
	outcome, about string
}

// named gives the name of what a call answered.
func named(answer proto.Message) string {
	if answer == nil || !answer.ProtoReflect().IsValid() {
		return ""
	}
	fields := answer.ProtoReflect().Descriptor().Fields()
	if consent := fields.ByName("consent"); consent != nil { // ImportConnectionsResponse
		return named(answer.ProtoReflect().Get(consent).Message().Interface())
	}
	if name := fields.ByName("name"); name != nil {
		return answer.ProtoReflect().Get(name).String()
	}
	return ""
}

// TestAuditHasEveryCall makes every changing call and every read of bank data, well and ill, and demands one entry of
// each: who, what, on which resource, from where, with which outcome.
func TestAuditHasEveryCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	var covered []string
	check := func(a audited) proto.Message {
		t.Helper()
		id := uuid.NewString()
		answer, err := a.do(metadata.AppendToOutgoingContext(w.context(), "x-request-id", id))
		if got := reason(err); got != a.outcome {
			t.Fatalf("%s ended with %q: %v; want %q", a.method, got, err, a.outcome)
		}
		if a.outcome == "" {
			a.outcome = "OK"
			covered = append(covered, a.method)
		}
		if a.about == "" {
			a.about = cmp.Or(named(answer), worldtest.Info(err).GetMetadata()["shipment"])
		}
		found := slices.DeleteFunc(of(w.audit(), id), func(e entry) bool {
			// A consent without a customer makes one, which is a change of its own.
			return a.method == "CreateConsent" && a.outcome == "OK" && e.Method == "CreateCustomer"
		})
		if len(found) != 1 {
			t.Errorf("%s (%s) left %d entries: %v", a.method, a.outcome, len(found), found)
			return answer
		}
		e := found[0]
		if e.Method != a.method || e.Outcome != a.outcome || e.Resource != a.about || e.Actor != clientID ||
			e.Tenant != tenantName ||
			e.Peer != "127.0.0.1" || time.Since(e.Time).Abs() > time.Minute {
			t.Errorf("%s (%s) on %s left %+v", a.method, a.outcome, a.about, e)
		}
		return answer
	}
	auditedCustomers(w, check)
	for _, id := range worldtest.Providers() {
		providers.Of(id).audited(w, check)
	}
	changing := changingMethods(t)
	for _, method := range covered {
		changing = slices.DeleteFunc(changing, func(m string) bool { return m == method })
	}
	if len(changing) > 0 {
		t.Errorf("not tried: %v", changing)
	}
}

// changingMethods lists the RPCs that need a scope to write.
func changingMethods(t *testing.T) (methods []string) {
	t.Helper()
	for _, m := range worldtest.Methods() {
		if !worldtest.Reads(m) {
			methods = append(methods, string(m.Name()))
		}
	}
	if len(methods) < 15 {
		t.Fatalf("only %d methods change anything: %v", len(methods), methods)
	}
	return methods
}

// TestAuditOverREST looks at where a call came from, and at what a client without a scope tried.
func TestAuditOverREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	send := func(method, path, key, id string) int {
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(`{"customer":{"type":"PERSON"}}`)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, w.gateway.HTTP+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-Request-Id", id)
		req.Header.Set("X-Forwarded-For", "198.51.100.1") // anybody can say that
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, call := range []struct {
		method, path, key, id string
		want                  int
	}{
		{http.MethodPost, "/v1/customers", key, "well", http.StatusOK},
		{http.MethodPost, "/v1/customers", clerkKey, "denied", http.StatusForbidden},
		{http.MethodGet, "/v1/consents", clerkKey, "denied-reading", http.StatusForbidden},
		{http.MethodGet, "/v1/customers", clerkKey, "reading", http.StatusOK},
		{http.MethodPost, "/v1/customers", "kontor_nobodys", "nobody", http.StatusUnauthorized},
	} {
		if got := send(call.method, call.path, call.key, call.id); got != call.want {
			t.Fatalf("%s ended with %d, want %d", call.id, got, call.want)
		}
	}
	entries := w.audit()
	if found := of(entries, "well"); len(found) != 1 || found[0].Outcome != "OK" ||
		found[0].Peer != "127.0.0.1" || found[0].Actor != clientID {
		t.Errorf("the call left %+v", found)
	}
	for _, id := range []string{"denied", "denied-reading"} {
		if found := of(entries, id); len(found) != 1 || found[0].Outcome != "SCOPE_MISSING" ||
			found[0].Actor != clerkID || found[0].Peer != "127.0.0.1" {
			t.Errorf("the refused call left %+v", found)
		}
	}
	if found := append(of(entries, "nobody"), of(entries, "reading")...); len(found) != 0 {
		t.Errorf("there is %+v: anybody could fill the disk", found)
	}
}

// TestAuditExport narrows the export, with the gateway running and stopped.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for range 3 {
		newCustomer(t, w)
	}
	entries := w.audit()
	if len(entries) != 3 {
		t.Fatalf("there are %d entries, want 3", len(entries))
	}
	last := entries[2]
	for _, narrowed := range [][]string{
		{"--after", strconv.FormatInt(entries[1].Position, 10)},
		{"--since", last.Time.Format(time.RFC3339Nano)},
	} {
		if got := w.audit(narrowed...); len(got) != 1 || got[0] != last {
			t.Errorf("%v: %+v, want the last", narrowed, got)
		}
	}
	if got := w.audit("--tenant", tenantName); len(got) != 3 {
		t.Errorf("the tenant has %d entries, want 3", len(got))
	}
	w.kill()
	if got := w.audit(); !slices.Equal(got, entries) {
		t.Errorf("after a kill: %+v", got)
	}
	w.verified()
	w.restart()
	newCustomer(t, w)
	w.eventually("all is sealed", func() bool { return strings.Contains(w.verified(), " 0 not sealed yet") })
	if got := w.audit(); len(got) != 4 || !slices.Equal(got[:3], entries) {
		t.Errorf("sealed by another process: %+v", got)
	}
}

// verified runs `gateway audit verify`, which must find the trail whole, and gives what it says.
func (w *world) verified() string {
	w.t.Helper()
	said := w.run("audit", "verify")
	if !strings.HasSuffix(said, ": whole\n") {
		w.t.Errorf("the audit is not whole: %s", said)
	}
	return said
}

// TestAuditRetention has entries that are too old by the next start.
func TestAuditRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{config: "audit: {retention: 1ms}\n"})
	newCustomer(t, w)
	w.restart() // what is too old is swept at the start
	w.eventually("the entry is gone", func() bool { return len(w.audit()) == 0 })
}

// storeHolds tells whether a text stands anywhere in the store.
func storeHolds(t *testing.T, w *world, text string) bool {
	t.Helper()
	stored := must(worldtest.Stored(context.WithoutCancel(t.Context()), w.dir))(t)
	if len(stored) == 0 {
		t.Fatal("nothing is stored")
	}
	return bytes.Contains(stored, []byte(text))
}

// auditedCustomers makes calls that no provider is asked for.
func auditedCustomers(w *world, check func(audited) proto.Message) {
	c := w.client
	nobody := "customers/0195d0a8-0000-7000-8000-000000000000"
	none := "consents/0195d0a8-0000-7000-8000-000000000000"
	company := check(audited{method: "CreateCustomer", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
			Type: customerv1.Customer_COMPANY, Reference: optional.Of("r-1"),
			Products: []customerv1.Product_Value{customerv1.Product_BANKING, customerv1.Product_IMPORT},
		}}))
	}})
	check(audited{method: "CreateCustomer", outcome: "CUSTOMER_REFERENCE_TAKEN", do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_COMPANY, Reference: optional.Of("r-1")},
		}))
	}})
	check(audited{method: "CreateCustomer", outcome: "INVALID_FIELD", do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: 99},
		}))
	}})
	check(audited{method: "UpdateCustomer", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Customers.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{Customer: &customerv1.Customer{
			Name: named(company), Reference: optional.Of("r-2"),
			Products: []customerv1.Product_Value{customerv1.Product_BANKING, customerv1.Product_IMPORT},
		}}))
	}})
	check(audited{method: "UpdateCustomer", outcome: "CUSTOMER_NOT_FOUND", about: nobody, do: func(
		ctx context.Context,
	) (proto.Message, error) {
		return call(c.Customers.UpdateCustomer(ctx, &customerv1.UpdateCustomerRequest{
			Customer: &customerv1.Customer{Name: nobody},
		}))
	}})
	check(audited{method: "ListTransactions", outcome: "CONSENT_NOT_FOUND", about: none, do: func(
		ctx context.Context,
	) (proto.Message, error) {
		// The rest of the name could be anything, and is left out.
		return call(c.Banking.ListTransactions(ctx, &bankingv1.ListTransactionsRequest{
			Parent: none + "/accounts/SE4550000000058398257466",
		}))
	}})

	check(audited{method: "DeleteConsent", outcome: "CONSENT_NOT_FOUND", about: none, do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Consents.DeleteConsent(ctx, &consentv1.DeleteConsentRequest{Name: none}))
	}})
	check(audited{method: "DeleteCustomer", about: named(company), do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Customers.DeleteCustomer(ctx, &customerv1.DeleteCustomerRequest{Name: named(company)}))
	}})
	check(audited{method: "DeleteCustomer", outcome: "CUSTOMER_NOT_FOUND", about: nobody, do: func(
		ctx context.Context,
	) (proto.Message, error) {
		return call(c.Customers.DeleteCustomer(ctx, &customerv1.DeleteCustomerRequest{Name: nobody}))
	}})
}

// TestDeletedCustomerIsGone deletes a customer and looks for what was theirs: at the providers, behind the API, and
// in the store.
func TestDeletedCustomerIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	c := w.client
	const canary = "canary-of-the-deleted"
	name := must(c.Customers.CreateCustomer(w.context(), &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{
			Type:      customerv1.Customer_PERSON,
			Reference: optional.Of(canary + "-reference"),
		},
		RequestId: uuid.NewString(),
	}))(t).GetName()
	bystander := newCustomer(t, w)
	var consents []*consentv1.Consent
	want := map[string]int32{"kontor shipment": 1, "kontor customer": 1}
	for _, id := range worldtest.Providers() {
		for _, market := range providers.Of(id).markets {
			request := consentRequest(uuid.NewString(), id, market, name)
			request.Psu, request.Consent.Reference = person, optional.Of(canary+"-consent")
			consents = append(consents, must(c.Consents.CreateConsent(w.context(), request))(t))
		}
		want["providers/"+id+" "+providers.Of(id).receipt] = providers.Of(id).counts
	}
	want["kontor consent"] = int32(len(consents))
	letter := shipmentRequest(uuid.NewString(), documentsv1.Channel_LETTER)
	letter.Shipment.Customer = optional.Of(name)
	letter.Shipment.Recipient, letter.Shipment.Subject = canary+"-recipient", canary+"-subject"
	shipment := must(c.Documents.CreateShipment(w.context(), letter))(t)
	if storeHolds(t, w, canary) {
		t.Error("the store holds in clear text what is personal")
	}
	// What they hold of the customer in clear text: their consents' ids at the providers.
	for _, consent := range consents {
		if !storeHolds(t, w, consent.GetProviderReference()) {
			t.Fatal("the store does not hold what is looked for later")
		}
	}
	left := func() bool {
		return slices.ContainsFunc(consents, func(consent *consentv1.Consent) bool {
			return storeHolds(t, w, consent.GetProviderReference())
		})
	}

	// A provider fails in the middle: the customer stays, and the call can be made again.
	last := worldtest.Providers()[len(worldtest.Providers())-1]
	w.Played[last].Core.Faults.Add(sandbox.Fault{
		Operation: providers.Of(last).deletes, Status: http.StatusConflict, Times: 1,
	})
	if _, err := c.Customers.DeleteCustomer(w.context(), &customerv1.DeleteCustomerRequest{Name: name}); err == nil {
		t.Fatal("a deletion that failed at a provider was acknowledged")
	}
	must(c.Customers.GetCustomer(w.context(), &customerv1.GetCustomerRequest{Name: name}))(t)
	receipt := must(c.Customers.DeleteCustomer(w.context(), &customerv1.DeleteCustomerRequest{Name: name}))(t)

	counts := map[string]int32{}
	for _, e := range receipt.GetEntries() {
		counts[e.GetPlace()+" "+e.GetKind()] = e.GetCount()
		if time.Since(e.GetDeleteTime().AsTime()).Abs() > time.Minute {
			t.Errorf("%s %s was deleted at %s", e.GetPlace(), e.GetKind(), e.GetDeleteTime().AsTime())
		}
	}
	for what, count := range want {
		if counts[what] != count {
			t.Errorf("the receipt counts %d of %s, want %d", counts[what], what, count)
		}
	}
	if receipt.GetCustomer() != name || len(counts) != len(want) || strings.Contains(receipt.String(), canary) {
		t.Errorf("the receipt is %v", receipt)
	}
	for _, consent := range consents {
		if _, err := c.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{
			Name: consent.GetName(),
		}); reason(err) != "CONSENT_NOT_FOUND" {
			t.Errorf("the consent: %v", err)
		}
	}
	if _, err := c.Documents.GetShipment(w.context(), &documentsv1.GetShipmentRequest{
		Name: shipment.GetName(),
	}); reason(err) != "SHIPMENT_NOT_FOUND" {
		t.Errorf("the shipment: %v", err)
	}
	for _, id := range worldtest.Providers() {
		providers.Of(id).gone(t, w)
	}
	must(c.Customers.GetCustomer(w.context(), &customerv1.GetCustomerRequest{Name: bystander}))(t)
	if left() {
		t.Error("the store still holds what was deleted")
	}
	w.kill()
	if left() {
		t.Error("after a kill, the store holds what was deleted")
	}
	for _, e := range w.audit() {
		if e.Method == "DeleteCustomer" && e.Outcome == "OK" && e.Resource != name {
			t.Errorf("the deletion is on record as %+v", e)
		}
	}
}

// TestNoPersonalDataInAudit looks for what came with calls in the whole export.
func TestNoPersonalDataInAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, id := range worldtest.Providers() {
		request := consentRequest(uuid.NewString(), id, "", "")
		request.Psu = person
		must(w.client.Consents.CreateConsent(w.context(), request))(t)
	}
	must(w.client.Documents.CreateShipment(w.context(), shipmentRequest(uuid.NewString(), documentsv1.Channel_FAX)))(t)
	// Names that callers made up, with what must not be kept.
	for _, made := range []string{"customers/199503096316", "customers/Canaria.Vogelsang"} {
		if _, err := w.client.Customers.DeleteCustomer(
			w.context(), &customerv1.DeleteCustomerRequest{Name: made},
		); err == nil {
			t.Error("deleted nobody")
		}
	}
	if err := worldtest.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := w.run("audit", "export")
	if strings.Count(out, "\n") < 4 {
		t.Fatalf("the export has too little to look at: %s", out)
	}
	for _, canary := range []string{
		person.GetNationalId(), person.GetFirstName(), person.GetLastName(), "Torben", "Kassel",
	} {
		if strings.Contains(out, canary) {
			t.Errorf("%q stands in the audit", canary)
		}
	}
}
