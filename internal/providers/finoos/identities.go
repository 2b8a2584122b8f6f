package finoos

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
)

// identities gives an id to each transaction, standing order or security of one account that finoOS left without one.
// It follows from what does not change while a thing stays the same, and from how many alike came before it, so it
// stays the same when others come and go.
type identities map[string]int

func (seen identities) of(id text, content ...string) string {
	if id != "" {
		return string(id)
	}
	hash := sha256.New()
	for _, part := range content {
		hash.Write(binary.AppendUvarint(nil, uint64(len(part)))) // so that no two contents run together alike
		hash.Write([]byte(part))
	}
	made := hex.EncodeToString(hash.Sum(nil)[:12]) // as long as finoOS's own
	seen[made]++
	if n := seen[made]; n > 1 {
		return made + "-" + strconv.Itoa(n)
	}
	return made
}

// ofTransaction leaves out what changes when a transaction is booked or categorised.
func (seen identities) ofTransaction(id text, t *bankingv1.Transaction) string {
	return seen.of(id, t.GetAmount().GetValue(), t.GetAmount().GetCurrencyCode(), t.GetBookingDate(), t.GetValueDate(),
		t.GetRemittanceInformation(), t.GetCounterparty().GetName(), t.GetCounterparty().GetIban(), t.GetMandateId(),
		t.GetEndToEndId())
}

func (seen identities) ofStandingOrder(id text, o *bankingv1.StandingOrder) string {
	return seen.of(id, o.GetAmount().GetValue(), o.GetAmount().GetCurrencyCode(), o.GetInterval(),
		strconv.Itoa(int(o.GetExecutionDay())),
		o.GetCreationDate(), o.GetFirstExecutionDate(), o.GetRemittanceInformation())
}

func (seen identities) ofSecurity(id text, s *bankingv1.Security) string {
	return seen.of(id, s.GetIsin(), s.GetDisplayName(), s.GetMarket())
}
