package rest

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
)

// TestInputsCanBeCut holds the API to what withoutInputs relies on: in what a method answers, an INPUT_ONLY field is
// of a kind whose empty form is known, stands behind another field that is always written, and no other field shares
// its name.
func TestInputsCanBeCut(t *testing.T) {
	found := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "kontor.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				answer := methods.Get(j).Output()
				hidden, shown := map[string]bool{}, map[string]bool{}
				eachField(answer, func(field protoreflect.FieldDescriptor) {
					if !inputOnly(field) {
						shown[field.JSONName()] = true
						return
					}
					if field.HasPresence() {
						return // left out when it is empty
					}
					found++
					hidden[field.JSONName()] = true
					if emptyJSON(field) == "" {
						t.Errorf("%s: its empty form is not known", field.FullName())
					}
					if first := field.Parent().(protoreflect.MessageDescriptor).Fields().Get(0); first == field ||
						first.HasPresence() {
						t.Errorf("%s: may be the first that is written", field.FullName())
					}
				})
				for name := range hidden {
					if shown[name] {
						t.Errorf("%s: another field is called %s, too", answer.FullName(), name)
					}
				}
			}
		}
		return true
	})
	if found == 0 {
		t.Error("the API has no input that must be cut: drop the cutting")
	}
}

func TestInputsAreCut(t *testing.T) {
	consent := &consentv1.Consent{Name: "consents/1", Reference: optional.Of(`,"brokerBanks":[]`)}
	for _, v := range []any{
		consent, &consentv1.ListConsentsResponse{Consents: []*consentv1.Consent{consent, consent}},
		map[string]any{"result": consent},
		&documentsv1.Shipment{Name: "shipments/1"},
	} {
		text, err := newJSON().Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"brokerBanks":`) || strings.Contains(string(text), `"pdf":`) {
			t.Errorf("an input is shown: %s", text)
		}
		if message, ok := v.(*consentv1.Consent); ok {
			var back consentv1.Consent
			if err := protojson.Unmarshal(text, &back); err != nil || back.GetReference() != message.GetReference() {
				t.Errorf("more is gone than that: %s, %v", text, err)
			}
		}
	}
}
