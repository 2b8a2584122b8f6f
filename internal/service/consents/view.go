package consents

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/broadcast"
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
	if s.whole(consent, seesLinks(ctx)) {
		return consent
	}
	return withoutAddress(consent)
}

// whole tells whether all of a consent is visible to who may see links, or may not.
func (s *Server) whole(consent *consentv1.Consent, links bool) bool {
	link := consent.GetLink()
	return link.GetUri() == "" || links && callbacks.LiveLink(link, s.Clock.Now()).GetUri() != ""
}

// withoutAddress copies a consent, but for the address of its link.
func withoutAddress(consent *consentv1.Consent) *consentv1.Consent {
	seen := shallow(consent)
	seen.Link = shallow(consent.GetLink())
	seen.Link.Uri = optional.Of("")
	return seen
}

// visibleMessage is visible for a message of a stream whose caller may see links, or may not.
func (s *Server) visibleMessage(
	message *consentv1.WatchConsentsResponse, links bool,
) *consentv1.WatchConsentsResponse {
	if s.whole(message.GetConsent(), links) {
		return message
	}
	return unaddressed(message)
}

// unaddressed copies a message, but for the address of its consent's link.
func unaddressed(message *consentv1.WatchConsentsResponse) *consentv1.WatchConsentsResponse {
	seen := shallow(message)
	seen.Consent = withoutAddress(message.GetConsent())
	return seen
}

// news is an entry of the log as streams send it, in each view that a watcher may have.
type news struct {
	message *consentv1.WatchConsentsResponse
	// whole has all, unaddressed no address of a link, glimpse what a ticket shows.
	whole, unaddressed, glimpse *broadcast.Message
}

func newsOf(message *consentv1.WatchConsentsResponse) *news {
	return &news{
		message, broadcast.New(func() proto.Message { return message }),
		broadcast.New(func() proto.Message { return unaddressed(message) }),
		broadcast.New(func() proto.Message { return glimpse(message) }),
	}
}

// visibleNews is visibleMessage for what many streams send. A stream takes its view when it sends: a link may be over
// since.
func (s *Server) visibleNews(n *news, links bool) *broadcast.Message {
	if s.whole(n.message.GetConsent(), links) {
		return n.whole
	}
	return n.unaddressed
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
