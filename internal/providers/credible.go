package providers

import "time"

// earliestTime is before anything that a provider can date: clocks that were never set, and seconds that were taken for
// milliseconds, give earlier times.
var earliestTime = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

// latestAhead is how far a provider's clock may be ahead of Kontor's.
const latestAhead = 24 * time.Hour

// Credible gives a time that a provider told, or the zero time when it cannot be right. A decision without a time is
// taken for the worse; one with a wrong time could outweigh a withdrawal for ever.
func Credible(told, received time.Time) time.Time {
	if told.Before(earliestTime) || told.After(received.Add(latestAhead)) {
		return time.Time{}
	}
	return told
}
