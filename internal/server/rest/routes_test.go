package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/api"
	"kontor.dev/kontor/internal/kerr"
)

// nowhere is a channel to a service that refuses every call, in words that tell that it was called.
type nowhere struct{ grpc.ClientConnInterface }

func (nowhere) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return kerr.New(errorv1.Error_UNAUTHENTICATED, "called")
}

func (nowhere) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return nil, kerr.New(errorv1.Error_UNAUTHENTICATED, "called")
}

// pathOf gives a path that a mapping is for.
func pathOf(b api.Binding) string {
	path := b.Path
	for from, rest, found := strings.Cut(path, "{"); found; from, rest, found = strings.Cut(path, "{") {
		name, behind, _ := strings.Cut(rest, "}")
		_, pattern, _ := strings.Cut(name, "=")
		path = from + strings.ReplaceAll(pattern, "*", "1") + behind
	}
	return path
}

// called notes the calls that reach the channel.
type called struct {
	nowhere

	methods *[]string
}

func (c called) Invoke(ctx context.Context, method string, request, answer any, o ...grpc.CallOption) error {
	*c.methods = append(*c.methods, method)
	return c.nowhere.Invoke(ctx, method, request, answer, o...)
}

func (c called) NewStream(
	ctx context.Context, desc *grpc.StreamDesc, method string, o ...grpc.CallOption,
) (grpc.ClientStream, error) {
	*c.methods = append(*c.methods, method)
	return c.nowhere.NewStream(ctx, desc, method, o...)
}

// TestEveryRouteIsAdmitted: whatever mapping a request matches, it is admitted for that mapping's method, once, before
// anything else is done with it, and makes no call when it is not.
func TestEveryRouteIsAdmitted(t *testing.T) {
	var admitted, reached []string
	var refusal error
	front, err := New(t.Context(), called{methods: &reached}, Options{
		Admit: func(r *http.Request, method string) (Admission, error) {
			if admitted = append(admitted, method); refusal != nil {
				return nil, refusal
			}
			return everybody{r.Context(), 1 << 10}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	routes := 0
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			name := api.FullName(method)
			for _, b := range api.Bindings(method) {
				routes++
				for _, refusal = range []error{nil, kerr.New(errorv1.Error_UNAUTHENTICATED, "refused")} {
					admitted, reached = nil, nil
					w := httptest.NewRecorder()
					front.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), b.Verb, pathOf(b), strings.NewReader(`{}`)))
					if !slices.Equal(admitted, []string{name}) || slices.Contains(reached, name) != (refusal == nil) ||
						w.Code != http.StatusUnauthorized {
						t.Errorf("%s, %v: admitted for %v, called %v, %d", b.Route(), refusal, admitted, reached, w.Code)
					}
				}
			}
		}
	}
	if routes < 40 {
		t.Errorf("only %d routes were found", routes)
	}
}

// TestCustomMethodsTakeTheirVerbAlone: `consents/1:revoke` is the path of a method, and no consent's name, whatever the
// verb. The paths are those of the API's description, so that a new method is held to it.
func TestCustomMethodsTakeTheirVerbAlone(t *testing.T) {
	front, err := New(t.Context(), nowhere{}, Options{MaxBody: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	taken := map[string][]string{}
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			for _, b := range api.Bindings(method) {
				if path := pathOf(b); strings.Contains(path[strings.LastIndexByte(path, '/'):], ":") {
					taken[path] = append(taken[path], b.Verb)
				}
			}
		}
	}
	if len(taken) < 15 {
		t.Errorf("only %d paths were found: %v", len(taken), taken)
	}
	for path, verbs := range taken {
		allow := strings.Join(verbs, ", ")
		for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			w := httptest.NewRecorder()
			front.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), verb, path, http.NoBody))
			if strings.Contains(", "+allow+",", ", "+verb+",") {
				if w.Code != http.StatusUnauthorized {
					t.Errorf("%s %s: %d %s, want a call", verb, path, w.Code, w.Body)
				}
				continue
			}
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != allow ||
				!strings.Contains(w.Body.String(), "METHOD_NOT_FOUND") {
				t.Errorf("%s %s: %d, Allow %q, want %q: %s", verb, path, w.Code, w.Header().Get("Allow"), allow, w.Body)
			}
		}
	}
}
