package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"kontor.dev/kontor/test/worldtest"
)

// method is an RPC of Kontor as its descriptor tells it.
type method struct {
	name string // kontor.banking.v1.BankingService/ListAccounts
	desc protoreflect.MethodDescriptor
	rule *annotations.HttpRule
}

// methods are all RPCs of Kontor by name, from the descriptors that are linked in.
var methods = sync.OnceValue(func() map[string]*method {
	all := map[string]*method{}
	for _, desc := range worldtest.Methods() {
		name := string(desc.Parent().FullName()) + "/" + string(desc.Name())
		all[name] = &method{name: name, desc: desc, rule: worldtest.Rule(desc)}
	}
	return all
})

// sortedMethods are all RPCs in the order of their names.
func sortedMethods() []*method {
	all := methods()
	sorted := make([]*method, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// short is the name without package and service.
func (m *method) short() string { return string(m.desc.Name()) }

func (m *method) path() string { return "/" + m.name }

func (m *method) streams() bool { return m.desc.IsStreamingServer() }

func newMessage(desc protoreflect.MessageDescriptor) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	if err != nil {
		panic(err) // the stubs of all services are linked in
	}
	return kind.New().Interface()
}

func (m *method) response() proto.Message { return newMessage(m.desc.Output()) }

// request makes the message from its JSON.
func (m *method) request(fields map[string]any) (proto.Message, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	in := newMessage(m.desc.Input())
	return in, protojson.Unmarshal(text, in)
}

// binding is one way in which REST reaches an RPC.
type binding struct {
	method, template, body string
}

func bindingOf(rule *annotations.HttpRule) binding {
	b := binding{body: rule.GetBody()}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.method, b.template = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		b.method, b.template = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		b.method, b.template = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		b.method, b.template = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		b.method, b.template = http.MethodDelete, pattern.Delete
	}
	return b
}

// bindings are all ways, those with more of the request in the path first.
func (m *method) bindings() []binding {
	all := []binding{bindingOf(m.rule)}
	for _, more := range m.rule.GetAdditionalBindings() {
		all = append(all, bindingOf(more))
	}
	slices.SortStableFunc(all, func(a, b binding) int {
		return strings.Count(b.template, "{") - strings.Count(a.template, "{")
	})
	return all
}

var pathVariable = regexp.MustCompile(`\{([a-z_.]+)(?:=([^}]*))?\}`)

// transcode turns a request in JSON into what REST sends, as google.api.http has it. It looks at names only, so that
// a request can be wrong in any way.
func (m *method) transcode(request map[string]any) (httpMethod, target string, body []byte, err error) {
	if m.rule == nil {
		return "", "", nil, errors.New("the RPC has no HTTP mapping")
	}
	for _, b := range m.bindings() {
		httpMethod, target, body, err = b.transcode(request)
		if err == nil {
			return httpMethod, target, body, nil
		}
	}
	return httpMethod, target, body, err
}

func (b binding) transcode(request map[string]any) (httpMethod, target string, body []byte, err error) {
	rest, err := deepCopy(request)
	if err != nil {
		return "", "", nil, err
	}
	target = pathVariable.ReplaceAllStringFunc(b.template, func(variable string) string {
		name := pathVariable.FindStringSubmatch(variable)[1]
		value, ok := take(rest, strings.Split(name, ".")).(string)
		if !ok || value == "" {
			err = fmt.Errorf("the request has no %s for the path", name)
		}
		segments := strings.Split(value, "/")
		for i, segment := range segments {
			segments[i] = url.PathEscape(segment)
		}
		return strings.Join(segments, "/")
	})
	if err != nil {
		return "", "", nil, err
	}
	switch b.body {
	case "":
	case "*":
		body, err = json.Marshal(rest)
		rest = nil
	default:
		body, err = json.Marshal(take(rest, []string{b.body}))
		delete(rest, "updateMask") // over REST it follows from the body
	}
	query := url.Values{}
	flatten(query, "", rest)
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return b.method, target, body, err
}

// dummyTarget is the REST address of the RPC with ids that nobody has.
func (b binding) dummyTarget() string {
	return pathVariable.ReplaceAllStringFunc(b.template, func(variable string) string {
		return strings.ReplaceAll(
			pathVariable.FindStringSubmatch(variable)[2], "*", "00000000-0000-0000-0000-000000000000",
		)
	})
}

// take removes the field at a path of proto names from a JSON object and gives it.
func take(object map[string]any, path []string) any {
	name := jsonName(path[0])
	value := object[name]
	if len(path) == 1 {
		delete(object, name)
		return value
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	return take(inner, path[1:])
}

// jsonName turns update_mask into updateMask.
func jsonName(name string) string {
	words := strings.Split(name, "_")
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return strings.Join(words, "")
}

// flatten writes a JSON object as query parameters.
func flatten(query url.Values, prefix string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(query, strings.TrimPrefix(prefix+"."+name, "."), inner)
		}
	case []any:
		for _, inner := range v {
			flatten(query, prefix, inner)
		}
	case nil:
	default:
		query.Add(prefix, fmt.Sprint(v))
	}
}

// deepCopy copies JSON.
func deepCopy(object map[string]any) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	copied := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	return copied, decoder.Decode(&copied)
}

// jsonOf gives a message as decoded JSON, for matching.
func jsonOf(m proto.Message) map[string]any {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic(err) // it came over the wire
	}
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		panic(err)
	}
	return fields
}

// lines reads what is delimited by line feeds, however long.
type lines struct{ r *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReader(r)} }

// next gives the next line without its end; io.EOF after the last.
func (l *lines) next() ([]byte, error) {
	line, err := l.r.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return []byte(strings.TrimRight(string(line), "\r\n")), err
}
