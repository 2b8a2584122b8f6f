package consents

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/optional"
)

// seesLinks tells whether the caller may see addresses of links: who holds one can act as the customer, so reading
// consents is not enough.
func seesLinks(ctx context.Context) bool { return identity.From(ctx).Allows("consents.write") }

// withLiveLink gives an answer, which may be a remembered one, without the address of a link that is over, or was
// replaced, since.
func (s *Server) withLiveLink(ctx context.Context, answer *consentv1.Consent) *consentv1.Consent {
	if answer.GetLink().GetUri() == "" {
		return answer
	}
	row, _, err := s.Load.Consent(ctx, answer.GetName())
	if err == nil &&
		callbacks.LiveLink(row.Resource.GetLink(), s.Clock.Now()).GetUri() == answer.GetLink().GetUri() {
		return answer
	}
	return withoutAddress(answer)
}

// visible gives a consent as its caller may see it: no address of a link whose time is over, though nobody noted that
// yet. The one that is handed in stays as it is: others may have it, too.
func (s *Server) visible(ctx context.Context, consent *consentv1.Consent) *consentv1.Consent {
	link := consent.GetLink()
	if link.GetUri() == "" || seesLinks(ctx) && callbacks.LiveLink(link, s.Clock.Now()).GetUri() != "" {
		return consent
	}
	return withoutAddress(consent)
}

// withoutAddress copies a consent, but for the address of its link.
func withoutAddress(consent *consentv1.Consent) *consentv1.Consent {
	seen := shallow(consent)
	seen.Link = shallow(consent.GetLink())
	seen.Link.Uri = optional.Of("")
	return seen
}

// visibleMessage is visible for a message of a stream.
func (s *Server) visibleMessage(
	ctx context.Context, message *consentv1.WatchConsentsResponse,
) *consentv1.WatchConsentsResponse {
	consent := s.visible(ctx, message.GetConsent())
	if consent == message.GetConsent() {
		return message
	}
	seen := shallow(message)
	seen.Consent = consent
	return seen
}

// shallow copies a message whose fields stay those of the original. To set one of them changes the copy alone.
func shallow[M interface {
	*consentv1.Consent | *typev1.Link | *consentv1.WatchConsentsResponse
	proto.Message
}](of M) M {
	from := of.ProtoReflect()
	to := from.New()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		to.Set(field, value)
		return true
	})
	return to.Interface().(M) //nolint:forcetypeassert // New gives the type of what it is called on
}
