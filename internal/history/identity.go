package history

import (
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/psu"
	"kontor.dev/kontor/internal/store"
)

// Asked gives what a consent's row keeps of whom it is asked of, to be compared with who approves.
func (w *Writer) Asked(row *store.Consent, who *consentv1.Psu) []byte {
	return psu.Ask(row.Market, who, w.hashOf(row)).Bytes()
}

// identify compares who approved with whom the consent was asked of, once, and forgets the latter. It tells whether it
// did.
func (w *Writer) identify(row *store.Consent, told *psu.Identity) bool {
	if told == nil || len(row.Asked) == 0 {
		return false
	}
	match := consentv1.IdentityMatch_UNKNOWN
	if asked, err := psu.ParseAsked(row.Asked); err == nil {
		match = asked.Compare(*told, w.hashOf(row))
	}
	row.Asked = nil
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.IdentityMatch = match
	return true
}

// hashOf hashes for one consent alone: what two consents keep of one person has nothing in common.
func (w *Writer) hashOf(row *store.Consent) psu.Hash {
	return func(kind, text string) []byte {
		return w.Names.Keys.MAC(keys.Identities, row.Tenant, []byte(row.ID), []byte(kind), []byte(text))
	}
}

// forget forgets whom a consent was asked of once its link is over: nothing that is told later is compared.
func forget(row *store.Consent) {
	switch row.Resource.GetLink().GetStatus() {
	case typev1.Link_COMPLETED, typev1.Link_EXPIRED:
		row.Asked = nil
	default:
		if row.Ended {
			row.Asked = nil
		}
	}
}
