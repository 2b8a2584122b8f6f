package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/api"
)

// described goes over every HTTP mapping of every method that the API describes, whether or not anybody serves it.
func described(visit func(protoreflect.MethodDescriptor, api.Binding)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := 0; strings.HasPrefix(string(file.Package()), "kontor.") && i < file.Services().Len(); i++ {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				for _, binding := range api.Bindings(methods.Get(j)) {
					visit(methods.Get(j), binding)
				}
			}
		}
		return true
	})
}

func routesOf(t testing.TB) map[string]route {
	t.Helper()
	routes, err := newRoutes()
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// emptyRequest makes the request of a method.
func emptyRequest(t testing.TB, method protoreflect.MethodDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// TestForms goes over all methods of all services. Those that create and those that update are told by their names
// here, as AIP-133 and AIP-134 have them, and by the descriptors' types in the code: both must find the same.
func TestForms(t *testing.T) {
	routes := routesOf(t)
	want := map[string]string{
		"POST /v1/customers":    "create customer, own requestId request_id",
		"POST /v1/consents":     "create consent, own customerType customer_type psu requestId request_id",
		"POST /v1/shipments":    "create shipment, own requestId request_id",
		"POST /v1/partnerBanks": "create partnerBank, own partner_bank requestId request_id",

		"PATCH /v1/{customer.name=customers/*}":        "update customer, mask updateMask",
		"PATCH /v1/{partner_bank.name=partnerBanks/*}": "update partnerBank, mask updateMask",
	}
	count := 0
	described(func(method protoreflect.MethodDescriptor, binding api.Binding) {
		count++
		r, ok := routes[binding.Route()]
		if !ok {
			t.Errorf("%s of %s is no route", binding.Route(), method.FullName())
			return
		}
		creates := strings.HasPrefix(string(method.Name()), "Create") &&
			method.Input().Fields().ByName(protoreflect.Name(snake(string(method.Name())[len("Create"):]))) != nil
		if creates != (r.creation != nil) {
			t.Errorf("%s: by its name it creates a resource: %t; by its types %t", method.FullName(), creates, !creates)
		}
		if updates := strings.HasPrefix(string(method.Name()), "Update"); updates != (r.update != nil) {
			t.Errorf("%s: by its name it updates a resource: %t; by its types %t", method.FullName(), updates, !updates)
		}
		got := ""
		switch {
		case r.creation != nil:
			got = "create " + r.creation.resource.JSONName() + ", own " +
				strings.Join(slices.Sorted(maps.Keys(r.creation.own)), " ")
		case r.update != nil:
			got = "update " + r.update.resource + ", mask " + r.update.mask
		}
		if wanted, ok := want[binding.Route()]; got != wanted && (ok || !creates && r.update == nil) {
			t.Errorf("%s: %q, want %q", binding.Route(), got, wanted)
		}
		delete(want, binding.Route())
	})
	if count < 40 || count != len(routes) || len(want) > 0 {
		t.Errorf("%d mappings, %d routes; not there: %v", count, len(routes), want)
	}
}

// snake writes a type's name as a field's.
func snake(name string) string {
	var out strings.Builder
	for i, letter := range name {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			out.WriteByte('_')
		}
		out.WriteRune(letter)
	}
	return strings.ToLower(out.String())
}

// TestBothWaysOfCreating writes each field of each resource that can be created in both ways.
func TestBothWaysOfCreating(t *testing.T) {
	routes := routesOf(t)
	tried := 0
	described(func(method protoreflect.MethodDescriptor, binding api.Binding) {
		c := routes[binding.Route()].creation
		if c == nil {
			return
		}
		fields := c.resource.Message().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			if field.Kind() != protoreflect.StringKind || field.IsList() {
				continue
			}
			tried++
			for _, name := range []string{field.JSONName(), string(field.Name())} {
				bare := fmt.Sprintf(` { "%s" : "x" }`, name)
				var requests [2]proto.Message
				for j, text := range []string{bare, `{"` + c.resource.JSONName() + `":` + bare + `}`} {
					requests[j] = emptyRequest(t, method)
					if err := c.decode([]byte(text), requests[j]); err != nil {
						t.Errorf("%s: %v", text, err)
					}
				}
				resource := requests[0].ProtoReflect().Get(c.resource).Message()
				if !proto.Equal(requests[0], requests[1]) || resource.Get(field).String() != "x" {
					t.Errorf("%s: %v and %v", bare, requests[0], requests[1])
				}
				// Beside a field of the request it is in the wrong place.
				err := c.decode([]byte(`{"`+name+`": "x", "requestId": "r"}`), emptyRequest(t, method))
				if failure, ok := err.(*fieldError); !ok || failure.path != name { //nolint:errorlint // as it is made
					t.Errorf("%s beside requestId: %v", name, err)
				}
			}
		}
	})
	if tried < 8 {
		t.Errorf("only %d fields", tried)
	}
}

// TestWrap has the bodies whose form is told by more than their first field.
func TestWrap(t *testing.T) {
	routes := routesOf(t)
	for _, tc := range []struct{ path, body, want string }{
		{"/v1/customers", `{"customer":{"type":"PERSON"}}`, `{"customer":{"type":"PERSON"}}`},
		{"/v1/customers", `{"type":"PERSON"}`, `{"customer":{"type":"PERSON"}}`},
		{"/v1/customers", `{"type":"PERSON","requestId":"x"}`, `{"type":"PERSON","requestId":"x"}`},
		{"/v1/customers", `{"customer":"x"}`, `{"customer":{"customer":"x"}}`},
		{"/v1/customers", `{}`, `{}`},
		{"/v1/customers", `nonsense`, `nonsense`},
		{"/v1/consents", `{"market":"SE","customer":"customers/1"}`,
			`{"consent":{"market":"SE","customer":"customers/1"}}`},
		{"/v1/consents", `{"market":"SE","customerType":"PERSON"}`, `{"market":"SE","customerType":"PERSON"}`},
		{"/v1/shipments", `{"customer":"customers/1","channel":"FAX"}`,
			`{"shipment":{"customer":"customers/1","channel":"FAX"}}`},
		{"/v1/partnerBanks", `{"partner_bank":"x"}`, `{"partner_bank":"x"}`},
	} {
		if got := string(routes["POST "+tc.path].creation.wrap([]byte(tc.body))); got != tc.want {
			t.Errorf("%s %s became %s", tc.path, tc.body, got)
		}
	}
}

func TestUnwrap(t *testing.T) {
	u := routesOf(t)["PATCH /v1/{customer.name=customers/*}"].update
	for body, want := range map[string][2]string{
		`{"reference":"x"}`:              {`{"reference":"x"}`, "a=b"},
		`{"customer":{"reference":"x"}}`: {`{"reference":"x"}`, "a=b"},
		`{"customer":{"reference":"x"},"updateMask":"reference"}`: {`{"reference":"x"}`,
			"a=b&updateMask=reference"},
		`{"updateMask":"reference","customer":{"reference":"x"}}`: {`{"reference":"x"}`,
			"a=b&updateMask=reference"},
		`{"\u0063ustomer":{"reference":"x"}}`:            {`{"reference":"x"}`, "a=b"},
		`{"customer":{},"requestId":"r"}`:                {`{"customer":{},"requestId":"r"}`, "a=b"},
		`{"customer":"x"}`:                               {`{"customer":"x"}`, "a=b"},
		`{"updateMask":"reference"}`:                     {`{"updateMask":"reference"}`, "a=b"},
		`{"reference":"x","customer":{},"updateMask":1}`: {`{"reference":"x","customer":{},"updateMask":1}`, "a=b"},
		``: {``, "a=b"},
	} {
		target := &url.URL{RawQuery: "a=b"}
		got, err := u.unwrap([]byte(body), target)
		if err != nil || string(got) != want[0] || target.RawQuery != want[1] {
			t.Errorf("%s became %s?%s, %v", body, got, target.RawQuery, err)
		}
	}
	// A mask that were passed over would change more than was asked for.
	for body, field := range map[string]string{
		`{"customer":{},"updateMask":{"paths":["reference"]}}`:             "updateMask",
		`{"customer":{},"updateMask":["reference"]}`:                       "updateMask",
		`{"customer":{},"updateMask":7}`:                                   "updateMask",
		`{"customer":{},"updateMask":"reference","updateMask":"products"}`: "updateMask",
		`{"customer":{"reference":"one"},"customer":{"reference":"two"}}`:  "customer",
		`{"updateMask":"products","customer":{}}?updateMask=reference`:     "updateMask",
	} {
		text, query, _ := strings.Cut(body, "?")
		got, err := u.unwrap([]byte(text), &url.URL{RawQuery: query})
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s became %s, %v", body, got, err)
		}
	}
	for _, empty := range []string{"null", `""`} {
		target := &url.URL{}
		if _, err := u.unwrap([]byte(`{"customer":{},"updateMask":`+empty+`}`), target); err != nil || target.RawQuery != "" {
			t.Errorf("a mask of %s: %s, %v", empty, target.RawQuery, err)
		}
	}
}

// To find the place that does not fit must not cost more than to read the body.
func TestLocatingIsBounded(t *testing.T) {
	message := (&customerv1.Customer{}).ProtoReflect().Descriptor()
	for elements, want := range map[int]string{
		100:        "products[100]",
		maxLocated: "body",
		1_000_000:  "body",
	} {
		text := `{"products":[` + strings.Repeat("1,", elements) + `"x"]}`
		d := &locator{Decoder: json.NewDecoder(strings.NewReader(text))}
		if failure := locateMessage(d, message, "", 0); failure == nil || failure.path != want || d.values > maxLocated+1 {
			t.Errorf("of %d elements: %v after %d values", elements, failure, d.values)
		}
	}
}

// TestOneParse: reading a body costs what parsing its message costs, whichever way it is written. A second parse would
// allocate for each of its fields again.
func TestOneParse(t *testing.T) {
	routes := routesOf(t)
	resource := `{"market":"SE","customer":"customers/1","reference":"r","partnerBank":"partnerBanks/1",` +
		`"redirectUris":{"success":"https://a.example","error":"https://a.example"},` +
		`"brokerBanks":[{"id":"1"},{"id":"2"}]}`
	described(func(method protoreflect.MethodDescriptor, binding api.Binding) {
		if binding.Route() != http.MethodPost+" /v1/consents" {
			return
		}
		c := routes[binding.Route()].creation
		wrapped := []byte(`{"consent":` + resource + `}`)
		parsing := testing.AllocsPerRun(100, func() {
			if err := parse(wrapped, emptyRequest(t, method)); err != nil {
				t.Fatal(err)
			}
		})
		for _, text := range [][]byte{wrapped, []byte(resource)} {
			b := &body{Reader: bytes.NewReader(text), text: text, creation: c}
			reading := testing.AllocsPerRun(100, func() {
				request := emptyRequest(t, method)
				if err := newJSON().NewDecoder(b).Decode(request); err != nil {
					t.Fatal(err)
				}
			})
			if reading > parsing+6 {
				t.Errorf("%s: %v allocations, parsing alone has %v", text, reading, parsing)
			}
		}
	})
}

// FuzzForms: looking at the first field alone decides as looking at the whole body does, for every way of writing JSON.
func FuzzForms(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"consent":{"market":"SE"}}`, `{"market":"SE"}`, `{"consent":"x"}`, `{"customer":"x"}`,
		`{"customerType":"PERSON"}`,
		`{"market":"SE","customer_type":null}`, `{"market":"SE","customerTyp\u0065":1}`, `{"m\u0061rket":"SE"}`,
		` {"psu":null} `,
		`{"consent":null,"market":"SE"}`, `{"consent":{},"consent":"x"}`, `{"partnerBank":{}}`, `{"displayName":"x"}`,
		`[`, `{"`, `{"a`,
		`{"a"`, `{"a":`, `{"customer":{"reference":"x"},"updateMask":"reference"}`,
		`{"updateMask":"a","customer":{}}`, "{\"\\\":1}",
	} {
		f.Add([]byte(seed))
	}
	routes := routesOf(f)
	type creating struct {
		method protoreflect.MethodDescriptor
		*creation
	}
	var creations []creating
	var updates []*update
	described(func(method protoreflect.MethodDescriptor, binding api.Binding) {
		r := routes[binding.Route()]
		if r.creation != nil {
			creations = append(creations, creating{method, r.creation})
		}
		if r.update != nil {
			updates = append(updates, r.update)
		}
	})
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, c := range creations {
			quick, whole := emptyRequest(t, c.method), emptyRequest(t, c.method)
			err, wanted := c.decode(text, quick), decode(c.wrap(text), whole)
			if fmt.Sprint(err) != fmt.Sprint(wanted) || err == nil && !proto.Equal(quick, whole) {
				t.Errorf("%s: %v, %v; as a whole %v, %v", c.method.FullName(), quick, err, whole, wanted)
			}
		}
		for _, u := range updates {
			quick, whole := &url.URL{}, &url.URL{}
			got, err := u.unwrap(text, quick)
			wanted, wantedErr := u.unwrapWhole(text, whole)
			if !bytes.Equal(got, wanted) || *quick != *whole || (err == nil) != (wantedErr == nil) {
				t.Errorf("%s: %s?%s; as a whole %s?%s", u.resource, got, quick.RawQuery, wanted, whole.RawQuery)
			}
		}
	})
}
