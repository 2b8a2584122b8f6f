package columns

import (
	"maps"
	"slices"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/store"
)

// Statuses are those that a list of consents merges, as they stand in rows, each once and in order: every status that
// there is where the filter names none.
func Statuses(filter store.ConsentFilter) []int32 {
	if len(filter.Statuses) == 0 {
		return slices.Sorted(maps.Keys(consentv1.Consent_Status_name))
	}
	statuses := make([]int32, len(filter.Statuses))
	for i, status := range filter.Statuses {
		statuses[i] = int32(status)
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}
