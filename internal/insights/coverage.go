package insights

import (
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
)

// Cover says which banks of a consent an evaluation covers, and whether the data of each is in it. A bank at which the
// customer has not authenticated, and one that is gone, has no data to come.
//
// A provider evaluates after it has fetched: a bank whose data is there, and of which the evaluation shows no account
// although each account that it shows can be told to be at another bank, is not in it yet.
func Cover(result *insightsv1.Insights, consent *consentv1.Consent) {
	shown, allTold := make(map[string]bool), len(result.GetAccounts()) > 0
	for _, account := range result.GetAccounts() {
		shown[account.GetConnection()] = true
		allTold = allTold && account.GetConnection() != ""
	}
	result.Connections, result.Complete = nil, true
	for _, c := range consent.GetConnections() {
		if !delivers(c) {
			continue
		}
		complete := c.GetDataStage() == consentv1.DataStage_READY && (!allTold || shown[c.GetName()])
		result.Connections = append(result.Connections, &insightsv1.Insights_Coverage{
			Connection: c.GetName(), BankName: c.GetBank().DisplayName, Complete: complete,
		})
		result.Complete = result.GetComplete() && complete
	}
}

// delivers tells whether a bank's data is there or to come.
func delivers(c *consentv1.Connection) bool {
	switch c.GetStatus() {
	case consentv1.Connection_DISCONNECTED:
		return false
	case consentv1.Connection_ACTIVE, consentv1.Connection_REAUTHORIZATION_REQUIRED:
		return true
	}
	return c.GetDataStage() > consentv1.DataStage_NOT_STARTED
}

// Summarise leaves out what an evaluation tells of single transactions, and the provider's open objects.
func Summarise(result *insightsv1.Insights) {
	for _, m := range result.GetMovements() {
		m.Entries = nil
	}
	result.TotalBalance, result.Categorisation, result.ComputationAutomation = nil, nil, nil
}
