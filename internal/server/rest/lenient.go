package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// Where callers may write a body in two ways. AIP-133 has creating requests with the bare resource as the body; Kontor's carry the resource
// under its name, beside what else belongs to the request. AIP-134 has changing requests with the bare resource; those who are used to the
// former wrap it. Both ways mean the same, so both are taken.

// creations are the creating methods: the field that holds the resource, and the request's other fields.
var creations = map[string]struct {
	resource string
	others   []string
}{
	"/v1/customers":    {"customer", []string{"requestId", "request_id"}},
	"/v1/consents":     {"consent", []string{"psu", "requestId", "request_id", "customerType", "customer_type"}},
	"/v1/shipments":    {"shipment", []string{"requestId", "request_id"}},
	"/v1/partnerBanks": {"partnerBank", []string{"partner_bank", "requestId", "request_id"}},
}

// changes are the changing methods, by the path above the id.
var changes = map[string]string{"/v1/customers/": "customer", "/v1/partnerBanks/": "partnerBank"}

// prepareBody bounds the body and brings it into the one form that the gateway reads.
func prepareBody(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	if r.ContentLength > limit {
		return tooLarge()
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if err != nil {
		return kerr.InvalidField("body", "cannot be read")
	}
	switch r.Method {
	case http.MethodPost:
		if form, ok := creations[r.URL.Path]; ok {
			body = wrap(body, form.resource, form.others)
		}
	case http.MethodPatch:
		for prefix, resource := range changes {
			if strings.HasPrefix(r.URL.Path, prefix) {
				body = unwrap(body, resource, r.URL)
			}
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.GetBody = nil
	return nil
}

func tooLarge() error {
	return kerr.New(errorv1.Error_GATEWAY_RATE_LIMITED, "the request body is too large", kerr.WithMetadata("limit", "body"))
}

// wrap puts a bare resource under its name. A body with any of the request's own fields is left as it is.
func wrap(body []byte, resource string, others []string) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || len(fields) == 0 {
		return body
	}
	for _, own := range append(others, resource) {
		// The consent has a field `customer` and the customer request one of the same name: an object there is the resource.
		if value, ok := fields[own]; ok && (own != resource || !isString(value)) {
			return body
		}
	}
	return append(append([]byte(`{"`+resource+`":`), body...), '}')
}

func isString(value json.RawMessage) bool { return len(value) > 0 && value[0] == '"' }

// unwrap takes a resource out of its wrapping; the mask beside it becomes a query parameter.
func unwrap(body []byte, resource string, target *url.URL) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	inner, ok := fields[resource]
	if !ok || isString(inner) {
		return body
	}
	for name := range fields {
		if name != resource && name != "updateMask" {
			return body // the strict reader names what does not belong there
		}
	}
	var mask string
	if raw, ok := fields["updateMask"]; ok && json.Unmarshal(raw, &mask) == nil && mask != "" {
		query := target.Query()
		query.Set("updateMask", mask)
		target.RawQuery = query.Encode()
	}
	return inner
}
