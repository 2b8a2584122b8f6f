package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// What an operation may fail with. A test holds it against what the gateway answers: see test/e2e.

// Reasons that come in groups.
const (
	everywhere = "INVALID_FIELD UNAUTHENTICATED SCOPE_MISSING GATEWAY_RATE_LIMITED TOO_LARGE GATEWAY_STOPPING " +
		"STORE_UNAVAILABLE DEADLINE_EXCEEDED INTERNAL "
	// atProvider are those of operations that make the gateway ask a provider.
	atProvider = "PSU_IP_REQUIRED CAPABILITY_UNSUPPORTED CAPABILITY_NOT_ENABLED PROVIDER_RATE_LIMITED " +
		"PROVIDER_UNAVAILABLE PROVIDER_RESPONSE_INVALID PROVIDER_CREDENTIALS_INVALID PROVIDER_REJECTED "
	// readable are those of operations that read what a consent covers.
	readable = atProvider + "CONSENT_NOT_AUTHORIZED CONSENT_REVOKED CONSENT_EXPIRED DATA_NOT_READY " +
		"REAUTHORIZATION_REQUIRED NOT_COVERED_BY_CONSENT "
	// flow are those of operations that bring a consent on.
	flow = atProvider + "CONSENT_NOT_AUTHORIZED CONSENT_REVOKED CONSENT_EXPIRED LINK_EXPIRED " +
		"CONSENT_FLOW_ALREADY_OPEN REAUTHORIZATION_REQUIRED NOT_COVERED_BY_CONSENT "
	paged = "PAGE_TOKEN_EXPIRED "
)

// reasons are those of each method, beyond what its request tells: the resources that it names, the idempotency key,
// the etag, the resume token.
var reasons = map[string]string{
	"CreateCustomer": "CUSTOMER_REFERENCE_TAKEN", "GetCustomer": "", "ListCustomers": "",
	"UpdateCustomer": atProvider + "CUSTOMER_REFERENCE_TAKEN", "DeleteCustomer": atProvider,
	"GetDeletionReceipt": "",

	"CreateConsent": atProvider + "REDIRECT_URI_NOT_ALLOWED CONSENT_EXISTS CONSENT_FLOW_ALREADY_OPEN " +
		"CUSTOMER_NOT_FOUND PROVIDER_NOT_FOUND PARTNER_BANK_NOT_FOUND",
	"GetConsent": atProvider, "ListConsents": "CUSTOMER_NOT_FOUND", "ListConsentEvents": "", "WatchConsents": "",
	"CreateWatchTicket": "", "RenewConsentLink": flow + "CONSENT_EXISTS", "AddBank": flow,
	"RevokeConsent": flow, "DeleteConsent": atProvider, "SimulateDecision": flow,
	"CreatePartnerBank": atProvider + "PROVIDER_NOT_FOUND", "GetPartnerBank": atProvider + "PROVIDER_NOT_FOUND",
	"ListPartnerBanks": atProvider + "PROVIDER_NOT_FOUND", "UpdatePartnerBank": atProvider + "PROVIDER_NOT_FOUND",

	"ListConnections": atProvider, "GetConnection": atProvider,
	"SyncConnection": readable + "CONSENT_FLOW_ALREADY_OPEN LINK_EXPIRED", "DeleteConnection": flow + "DATA_NOT_READY",
	"CreateManagementSession": flow + "DATA_NOT_READY",
	"ImportConnections":       atProvider + "CONSENT_EXISTS CONSENT_FLOW_ALREADY_OPEN PROVIDER_NOT_FOUND",
	"ListAccounts":            readable + paged, "GetAccount": readable,
	"ListTransactions":   readable + paged + "TRANSACTIONS_NOT_ATTRIBUTABLE",
	"StreamTransactions": readable,
	"ListStandingOrders": readable + paged + "TRANSACTIONS_NOT_ATTRIBUTABLE", "ListSecurities": readable + paged,

	"GetInsights": readable, "CreateVisualizationLink": readable, "GetPaymentPartnerAnalysis": readable,
	"SearchCompanyLogos": atProvider + "PROVIDER_NOT_FOUND",

	"CreateShipment": atProvider + "CUSTOMER_NOT_FOUND PROVIDER_NOT_FOUND", "GetShipment": "CAPABILITY_UNSUPPORTED",
	"ListShipments": "CAPABILITY_UNSUPPORTED CUSTOMER_NOT_FOUND", "WatchShipments": "CAPABILITY_UNSUPPORTED",

	"ListProviders": "", "ListProviderUsers": atProvider, "DeleteProviderUser": atProvider + "PROVIDER_USER_IN_USE",
}

// named are the reasons for resources that are not there, by the variables of paths.
var named = map[string]string{
	"consent": "CONSENT_NOT_FOUND", "connection": "CONNECTION_NOT_FOUND", "account": "ACCOUNT_NOT_FOUND",
	"customer": "CUSTOMER_NOT_FOUND", "deletion_receipt": "DELETION_RECEIPT_NOT_FOUND",
	"partner_bank": "PARTNER_BANK_NOT_FOUND", "shipment": "SHIPMENT_NOT_FOUND", "provider": "PROVIDER_NOT_FOUND",
	"user": "PROVIDER_USER_NOT_FOUND",
}

// reasonsOf lists what an operation may fail with, in the order of the enum.
func (a *api) reasonsOf(
	method protoreflect.MethodDescriptor, variables []string,
) ([]protoreflect.EnumValueDescriptor, error) {
	own, ok := reasons[string(method.Name())]
	if !ok {
		return nil, fmt.Errorf("errors.go does not say what %s fails with", method.Name())
	}
	names := strings.Fields(everywhere + own)
	for _, variable := range variables {
		names = append(names, named[variable])
	}
	request := method.Input().Fields()
	for _, name := range []string{"consent", "shipment"} {
		if field := request.ByName(protoreflect.Name(name)); field != nil && field.Message() == nil {
			names = append(names, named[name])
		}
	}
	if request.ByName("request_id") != nil {
		names = append(names, "IDEMPOTENCY_KEY_REUSED", "OUTCOME_UNKNOWN")
	}
	if hasEtag(method) {
		names = append(names, "ETAG_MISMATCH")
	}
	if request.ByName("resume_token") != nil {
		names = append(names, "RESUME_TOKEN_EXPIRED")
	}
	var found []protoreflect.EnumValueDescriptor
	for i := range a.reasons.Values().Len() {
		if value := a.reasons.Values().Get(i); slices.Contains(names, string(value.Name())) {
			found = append(found, value)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(found) != len(names) {
		return nil, fmt.Errorf("%s: errors.go has a reason that the API has not: %q", method.Name(), names)
	}
	return found, nil
}

// hasEtag tells whether a request can name the state of a resource that it is about.
func hasEtag(method protoreflect.MethodDescriptor) bool {
	request := method.Input().Fields()
	if request.ByName("etag") != nil {
		return true
	}
	for i := range request.Len() {
		field := request.Get(i)
		if field.Message() != nil && request.ByName("update_mask") != nil &&
			field.Message().Fields().ByName("etag") != nil {
			return true
		}
	}
	return false
}

// httpStatus is what REST answers for a status code.
var httpStatus = map[string]int{
	"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
	"NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500,
	"UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}

// codeMark matches the status code in a reason's comment.
var codeMark = regexp.MustCompile(`\s*\[([A-Z_]+)\]`)

// failures describes what an operation answers when it fails, by HTTP status.
func failures(reasons []protoreflect.EnumValueDescriptor) (object, error) {
	texts, names := map[int][]string{}, map[int][]string{}
	for _, reason := range reasons {
		text := comment(reason)
		code := codeMark.FindStringSubmatch(text)
		if code == nil || httpStatus[code[1]] == 0 {
			return nil, fmt.Errorf("the comment of %s does not name its status code", reason.Name())
		}
		status := httpStatus[code[1]]
		if reason.Name() == "TOO_LARGE" {
			status = 413
		}
		texts[status] = append(texts[status],
			fmt.Sprintf("- `%s` (%s): %s", reason.Name(), code[1], codeMark.ReplaceAllString(text, "")))
		names[status] = append(names[status], string(reason.Name()))
	}
	responses := object{}
	for _, status := range slices.Sorted(maps.Keys(texts)) {
		headers := object{"X-Request-Id": reference("headers", "RequestId")}
		if status == 429 || status == 503 {
			headers["Retry-After"] = reference("headers", "RetryAfter")
		}
		responses[fmt.Sprint(status)] = object{
			"description": strings.Join(texts[status], "\n"),
			"headers":     headers,
			"x-reasons":   names[status],
			"content": object{"application/json": object{
				"schema": reference("schemas", "google.rpc.Status"),
			}},
		}
	}
	return responses, nil
}
