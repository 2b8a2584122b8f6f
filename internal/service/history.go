package service

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// How a consent's history grows, and what callers see of it. What follows from a history is in package consent.

// observe adds what a provider reports to a consent's history.
func (s *Service) observe(tx store.Tx, row *store.Consent, report providers.ConsentState) error {
	history, err := tx.Events(row.Tenant, row.ID, 0, maxHistory)
	if err != nil {
		return err
	}
	_, err = s.append(tx, row, history, consent.Observe(history, report, s.now()))
	return err
}

// extend adds events to a consent's history, unless they are in it already.
func (s *Service) extend(tx store.Tx, row *store.Consent, events ...consent.Event) (int, error) {
	history, err := tx.Events(row.Tenant, row.ID, 0, maxHistory)
	if err != nil {
		return 0, err
	}
	now := consent.After(history, s.now())
	for i := range events {
		events[i].ReceiveTime = now
	}
	return s.append(tx, row, history, consent.Add(history, events...))
}

// maxHistory bounds how much of a history is read at once; no real consent comes near.
const maxHistory = 100_000

// append stores new events one by one, each with the consent as it then stands, and the consent as it stands in the end.
func (s *Service) append(tx store.Tx, row *store.Consent, history, added []consent.Event) (int, error) {
	if len(added) == 0 {
		return 0, nil
	}
	for _, e := range added {
		history = append(history, e)
		row.Flow = max(row.Flow, e.Flow)
		present(row, history)
		if err := tx.AppendEvent(row.Tenant, row.ID, e, row.Resource); err != nil {
			return 0, err
		}
	}
	row.NextPoll = s.follower.next(row)
	return len(added), tx.UpdateConsent(row)
}

// present writes into the resource what follows from the history.
func present(row *store.Consent, history []consent.Event) {
	state := consent.Derive(row.Resource.GetDataCollection(), history)
	newest := history[len(history)-1]
	row.Ended = state.Ended
	resource := proto.CloneOf(row.Resource)
	resource.Status, resource.DataStage, resource.Decision = state.Status, state.DataStage, state.Decision
	resource.Link, resource.Error = state.Link, state.Error
	resource.Connections = nil
	for _, c := range state.Connections {
		resource.Connections = append(resource.Connections, connectionResource(row.ID, c))
	}
	resource.EventCount = int32(newest.Sequence)
	resource.UpdateTime = timestamppb.New(newest.ReceiveTime)
	resource.Etag = strconv.FormatInt(newest.Sequence, 10)
	row.Resource = resource
}

// connectionResource gives a connection as callers see it.
func connectionResource(consentID string, c consent.Connection) *consentv1.Connection {
	return &consentv1.Connection{
		Name: connectionName(consentID, c.ID), Bank: c.Bank.Proto(), Status: c.Status, ProviderCode: c.ProviderCode, Error: c.Error,
		AuthorizeTime: timestamp(c.AuthorizeTime), SyncTime: timestamp(c.SyncTime),
	}
}

// eventResource gives an event as callers see it.
func eventResource(consentID string, e consent.Event) *consentv1.ConsentEvent {
	resource := &consentv1.ConsentEvent{
		Name: consentName(consentID) + "/events/" + strconv.FormatInt(e.Sequence, 10), Type: e.Type, ProviderCode: e.ProviderCode,
		Description: e.Description, EventTime: timestamp(e.EventTime), ReceiveTime: timestamp(e.ReceiveTime),
	}
	if e.EventTime.IsZero() {
		resource.EventTime = resource.GetReceiveTime()
	}
	if e.ConnectionID != "" {
		resource.Connection = connectionName(consentID, e.ConnectionID)
	}
	if e.Error != nil {
		resource.Error = &errorv1.Error{Reason: e.Error.Reason, Message: e.Error.Message, ProviderCode: e.Error.ProviderCode}
	}
	return resource
}

// timestamp gives nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// connectionOf finds a connection of a consent by its resource name, with the provider's id of it.
func (s *Service) connectionOf(ctx context.Context, row *store.Consent, name string) (consent.Connection, error) {
	var history []consent.Event
	err := s.view(ctx, func(r store.Reader) (err error) {
		history, err = r.Events(row.Tenant, row.ID, 0, maxHistory)
		return err
	})
	if err != nil {
		return consent.Connection{}, err
	}
	state := consent.Derive(row.Resource.GetDataCollection(), history)
	i := slices.IndexFunc(state.Connections, func(c consent.Connection) bool { return connectionName(row.ID, c.ID) == name })
	if i < 0 {
		return consent.Connection{}, notFound(errorv1.Error_CONNECTION_NOT_FOUND, "connection")
	}
	return state.Connections[i], nil
}
