package consents

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/identity"
)

// CreateWatchTicket implements consentv1.ConsentServiceServer.
func (s *Server) CreateWatchTicket(
	ctx context.Context, req *consentv1.CreateWatchTicketRequest,
) (*consentv1.WatchTicket, error) {
	row, _, err := s.Load.Consent(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.Audit.NoteAlone(ctx, "CreateWatchTicket", row.Resource.GetName()); err != nil {
		return nil, err
	}
	ticket, expires := s.Tickets.New(identity.From(ctx), row.ID)
	return &consentv1.WatchTicket{Ticket: ticket, ExpireTime: timestamppb.New(expires)}, nil
}

// glimpse gives what a bearer of a ticket sees of a message: a new one with what is named here, so that a field that is
// added to a consent stays out of it.
func glimpse(message *consentv1.WatchConsentsResponse) *consentv1.WatchConsentsResponse {
	seen := &consentv1.WatchConsentsResponse{
		Kind: message.GetKind(), ResumeToken: message.ResumeToken, SendTime: message.GetSendTime(),
	}
	if consent := message.GetConsent(); consent != nil {
		seen.Consent = &consentv1.Consent{
			Name: consent.GetName(), Status: consent.GetStatus(), DataStage: consent.GetDataStage(),
		}
		for _, c := range consent.GetConnections() {
			seen.Consent.Connections = append(seen.Consent.Connections, &consentv1.Connection{Status: c.GetStatus()})
		}
	}
	if event := message.GetEvent(); event != nil {
		seen.Event = &consentv1.ConsentEvent{Type: event.GetType()}
	}
	return seen
}
