package history

import (
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// present writes into the resource what follows from the history.
func (w *Writer) present(row *store.Consent, history []consent.Event) {
	state := consent.Derive(row.Resource.GetDataCollection(), history)
	newest := history[len(history)-1]
	row.Ended = state.Ended
	resource := proto.CloneOf(row.Resource)
	resource.Status, resource.DataStage, resource.Decision = state.Status, state.DataStage, state.Decision
	resource.Link, resource.Error = state.Link, state.Error
	resource.Connections = nil
	for _, c := range state.Connections {
		resource.Connections = append(resource.Connections, w.connectionResource(row, c))
	}
	resource.EventCount = int32(newest.Sequence)
	resource.UpdateTime = timestamppb.New(newest.ReceiveTime)
	resource.Etag = strconv.FormatInt(newest.Sequence, 10)
	row.Resource = resource
}

// connectionResource gives a connection as callers see it.
func (w *Writer) connectionResource(row *store.Consent, c consent.Connection) *consentv1.Connection {
	return &consentv1.Connection{
		Name: w.Names.Connection(row.Tenant, row.ID, c.ID), Bank: c.Bank.Proto(), Status: c.Status,
		ProviderCode: optional.Of(c.ProviderCode), Error: c.Error,
		AuthorizeTime: service.Timestamp(c.AuthorizeTime), SyncTime: service.Timestamp(c.SyncTime),
		DataStage: c.DataStage,
	}
}

// EventResource gives an event of a tenant's consent as callers see it.
func EventResource(names service.Names, tenant, consentID string, e consent.Event) *consentv1.ConsentEvent {
	resource := &consentv1.ConsentEvent{
		Name: service.ConsentName(consentID) + "/events/" + strconv.FormatInt(e.Sequence, 10), Type: e.Type,
		ProviderCode: optional.Of(e.ProviderCode),
		Description:  optional.Of(e.Description), EventTime: service.Timestamp(e.EventTime),
		ReceiveTime: service.Timestamp(e.ReceiveTime),
	}
	if e.EventTime.IsZero() {
		resource.EventTime = resource.GetReceiveTime()
	}
	if e.ConnectionID != "" {
		resource.Connection = optional.Of(names.Connection(tenant, consentID, e.ConnectionID))
	}
	resource.Error = e.Error.Proto()
	return resource
}
