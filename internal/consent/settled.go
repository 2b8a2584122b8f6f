package consent

import (
	"cmp"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

// Settled gives the sequences of the events that no longer bear on how a consent stands, whatever follows. A consent
// that stands for years is synchronised, and has to be authenticated again, many hundred times; of these only the first
// and the last of a connection in a flow tell something. What Derive makes of the others it makes of the last one, too,
// wherever in the order events are put that are yet to come.
func Settled(history []Event) (settled []int64) {
	type kind struct {
		t          consentv1.ConsentEvent_Type
		connection string
		flow       int
	}
	groups, newest := map[kind][]Event{}, int64(0)
	for _, e := range history {
		newest = max(newest, e.Sequence)
		repeats := e.Type == consentv1.ConsentEvent_SYNC_COMPLETED ||
			e.Type == consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED
		if repeats && e.ConnectionID != "" && !e.EventTime.IsZero() {
			k := kind{e.Type, e.ConnectionID, e.Flow}
			groups[k] = append(groups[k], e)
		}
	}
	for _, events := range groups {
		if len(events) < 3 {
			continue
		}
		slices.SortFunc(events, compare)
		last := events[len(events)-1]
		for _, e := range events[1 : len(events)-1] {
			if e.Sequence != newest && told(e, last) {
				settled = append(settled, e.Sequence)
			}
		}
	}
	slices.SortFunc(settled, cmp.Compare[int64])
	return settled
}

// told tells whether a later event says all that an earlier one of its kind says.
func told(e, last Event) bool {
	return (e.Bank == nil || last.Bank != nil) && (e.ProviderCode == "" || last.ProviderCode != "") &&
		!e.SyncTime.After(last.SyncTime) && e.Stage <= last.Stage && e.Error == nil && len(e.Authorized) == 0 &&
		e.Asked == last.Asked && !e.Lapsed && !e.Final
}

// newestOf gives the highest sequence of a history, 0 for none.
func newestOf(history []Event) (sequence int64) {
	for _, e := range history {
		sequence = max(sequence, e.Sequence)
	}
	return sequence
}
