package guard

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// largestAnswer is what clients of gRPC take in one message unless they say otherwise. A larger one would reach them as
// an error of their own library, after all of it was sent. REST has no such bound, and a stream sends one by one.
const largestAnswer = 4 << 20

// fits refuses an answer that is larger than clients take, and says how to ask for less.
func fits(request, answer any) error {
	message, ok := answer.(proto.Message)
	if !ok || proto.Size(message) <= largestAnswer {
		return nil
	}
	return kerr.New(errorv1.Error_TOO_LARGE, fmt.Sprintf("the answer is larger than %d bytes, which is what a gRPC "+
		"client takes: %s", largestAnswer, remedy(request)), kerr.WithMetadata("limit", "answer"))
}

// remedy says how the caller can ask for less, as far as the request has a field for it.
func remedy(request any) string {
	var remedies []string
	if message, ok := request.(proto.Message); ok {
		fields := message.ProtoReflect().Descriptor().Fields()
		if fields.ByName("view") != nil {
			remedies = append(remedies, "ask with view SUMMARY")
		}
		if fields.ByName("page_size") != nil {
			remedies = append(remedies, "ask for smaller pages")
		}
	}
	return strings.Join(append(remedies, "ask over REST"), ", or ")
}
