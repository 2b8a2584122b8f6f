package rest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
)

// canary stands where a caller's value stands; no error may hold it.
const canary = "CANARY199503096316"

func TestBadBodiesNameTheFieldAndNeverItsValue(t *testing.T) {
	for body, field := range map[string]string{
		`{"consent": {"market": 7}}`:                                                   "consent.market",
		`{"consent": {"access": "` + canary + `"}}`:                                    "consent.access",
		`{"consent": {"redirectUris": {"succes": "` + canary + `"}}}`:                  "consent.redirectUris.succes",
		`{"consent": {"brokerBanks": [{}, {"name": {"x": "` + canary + `"}}]}}`:        "consent.brokerBanks[1].name",
		`{"consent": {"createTime": "` + canary + `"}}`:                                "consent.createTime",
		`{"consent": {"eventCount": "` + canary + `"}}`:                                "consent.eventCount",
		`{"consent": "` + canary + `"}`:                                                "consent",
		`{"psu": {"nationalId": ["` + canary + `"]}}`:                                  "psu.nationalId",
		`{"psu": {"199503096316": 1}}`:                                                 "psu.?",
		`{"psu": {"` + canary + ` ": 1}}`:                                              "psu.?",
		`{"consent": {}, "consent": {"reference": "` + canary + `"}}`:                  "consent",
		`{"requestId": true, "psu": {"nationalId": "` + canary + `"}}`:                 "requestId",
		`["` + canary + `"]`:                                                           "body",
		`"` + canary + `"`:                                                             "body",
		`{"consent": {"reference": "` + canary + `"`:                                   "body",
		`{"consent": {}} {"psu": {"nationalId": "` + canary + `"}}`:                    "body",
		`{"consent": {"reference": "` + "\xff" + canary + `"}}`:                        "consent.reference",
		`{"consent": {"link": {"status": 3.5, "uri": "` + canary + `"}}}`:              "consent.link.status",
		`{"consent": ` + strings.Repeat(`{"link": `, 3) + `1` + strings.Repeat(`}`, 4): "consent.link.link",
	} {
		err := decode([]byte(body), &consentv1.CreateConsentRequest{})
		failure, ok := errors.AsType[*fieldError](err)
		if !ok {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if failure.path != field {
			t.Errorf("%s: names %s (%s), want %s", body, failure.path, failure.description, field)
		}
		if strings.Contains(failure.Error(), canary) {
			t.Errorf("%s: the value came back: %s", body, failure.Error())
		}
	}
	err := decode([]byte(`{"shipment": {"pdf": "`+canary+`!"}}`), &documentsv1.CreateShipmentRequest{})
	if failure, ok := errors.AsType[*fieldError](err); !ok || failure.path != "shipment.pdf" {
		t.Errorf("bad base64: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `{"consent":{"market":"SE"}}`, `{"psu":{"nationalId":1}}`, `[`, `null`,
		`{"consent":null}`, "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := decode(body, &consentv1.CreateConsentRequest{})
		if err == nil {
			return
		}
		failure, ok := errors.AsType[*fieldError](err)
		if !ok || failure.path == "" {
			t.Fatalf("%q: %v", body, err)
		}
		if _, err := json.Marshal(failure.path); err != nil {
			t.Fatalf("%q: the path is no text", body)
		}
	})
}
