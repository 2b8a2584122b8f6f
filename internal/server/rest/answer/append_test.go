package answer

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/distribution"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	"kontor.dev/kontor/internal/api"
)

// details are what errors carry, and well-known types, which a detail has in a field of its own.
var details = []proto.Message{
	&errdetails.ErrorInfo{}, &errdetails.BadRequest{}, &errdetails.RetryInfo{}, &errdetails.PreconditionFailure{},
	&errdetails.ResourceInfo{}, &errdetails.LocalizedMessage{}, &timestamppb.Timestamp{}, &emptypb.Empty{},
	&durationpb.Duration{}, &wrapperspb.StringValue{},
}

// others have what no answer has yet: maps, oneofs and numbers of all kinds.
var others = []proto.Message{
	&structpb.Struct{}, &structpb.Value{}, &structpb.ListValue{}, &fieldmaskpb.FieldMask{}, &wrapperspb.BoolValue{},
	&wrapperspb.Int32Value{}, &wrapperspb.Int64Value{}, &wrapperspb.UInt32Value{}, &wrapperspb.UInt64Value{},
	&wrapperspb.FloatValue{}, &wrapperspb.DoubleValue{}, &wrapperspb.BytesValue{}, &anypb.Any{},
	&expr.ParsedExpr{}, &expr.CheckedExpr{}, &expr.Value{}, &expr.Constant{},
	&distribution.Distribution{}, &annotations.ClientLibrarySettings{}, &annotations.Publishing{},
}

// kinds lists the types of messages that are compared: all that an answer of the API may be or have in it, errors and
// their details, and others.
func kinds(t testing.TB) []protoreflect.MessageType {
	t.Helper()
	var all []protoreflect.MessageType
	seen := map[protoreflect.FullName]bool{}
	add := func(descriptor protoreflect.MessageDescriptor) {
		for _, m := range append(within(descriptor), descriptor) {
			if seen[m.FullName()] || m.IsMapEntry() {
				continue
			}
			seen[m.FullName()] = true
			kind, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, kind)
		}
	}
	for _, service := range api.Services() {
		methods, err := service.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			add(method.Output())
		}
	}
	if len(all) < 30 {
		t.Fatalf("the API answers with %d types", len(all))
	}
	add((&spb.Status{}).ProtoReflect().Descriptor())
	for _, m := range append(details, others...) {
		add(m.ProtoReflect().Descriptor())
	}
	return all
}

// compare holds what is appended to the reference.
func compare(t *testing.T, message proto.Message) {
	t.Helper()
	for _, form := range []Form{Full, Sparse} {
		want, failure := reference(message, form)
		got, err := Append([]byte("before"), message, form)
		switch {
		case failure != nil && err == nil:
			t.Fatalf("%T became %s, but protojson gives %v", message, got, failure)
		case failure != nil:
		case err != nil:
			t.Fatalf("%T: %v, but protojson writes\n%s", message, err, want)
		case string(got) != "before"+string(want):
			t.Fatalf("%T sparse %t became\n%s, not\n%s", message, form, got, want)
		}
	}
}

// TestAnswersAreProtojson fills every type of message at random, and compares.
func TestAnswersAreProtojson(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	failed := 0
	for _, kind := range kinds(t) {
		compare(t, kind.New().Interface())
		compare(t, kind.Zero().Interface()) // nil
		for range 50 {
			choices := make([]byte, random.IntN(2000))
			for i := range choices {
				choices[i] = byte(random.Uint32())
			}
			message := kind.New()
			(&filler{choices: choices}).fill(message, 0)
			if _, err := reference(message.Interface(), Full); err != nil {
				failed++
			}
			compare(t, message.Interface())
		}
	}
	if failed == 0 {
		t.Error("nothing was filled with what protojson refuses")
	}
}

// FuzzAppend makes a message of any type by any choices.
func FuzzAppend(f *testing.F) {
	all := kinds(f)
	for i := range all {
		f.Add(uint16(i), []byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"))
	}
	f.Fuzz(func(t *testing.T, kind uint16, choices []byte) {
		message := all[int(kind)%len(all)].New()
		(&filler{choices: choices}).fill(message, 0)
		compare(t, message.Interface())
	})
}

// filler fills messages by a sequence of choices. When that is at its end, nothing more is filled.
type filler struct{ choices []byte }

// below makes a choice among n.
func (f *filler) below(n int) int {
	if len(f.choices) == 0 {
		return 0
	}
	choice := f.choices[0]
	f.choices = f.choices[1:]
	return int(choice) % n
}

// bits gives 64 bits, often few.
func (f *filler) bits() uint64 {
	var b [8]byte
	f.choices = f.choices[copy(b[:f.below(9)], f.choices):]
	return binary.LittleEndian.Uint64(b[:])
}

// deepest is how deep messages are filled within each other.
const deepest = 5

func (f *filler) fill(message protoreflect.Message, depth int) {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		f.pack(packed, depth)
		return
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if depth > deepest || f.below(3) == 0 {
			continue
		}
		switch {
		case fd.IsList():
			list := message.Mutable(fd).List()
			for range f.below(4) {
				list.Append(f.value(fd, list.NewElement(), depth))
			}
		case fd.IsMap():
			entries := message.Mutable(fd).Map()
			for range f.below(4) {
				key := f.value(fd.MapKey(), protoreflect.Value{}, depth).MapKey()
				entries.Set(key, f.value(fd.MapValue(), entries.NewValue(), depth))
			}
		default:
			message.Set(fd, f.value(fd, message.NewField(fd), depth))
		}
	}
}

// pack fills an Any with a detail, or with what is none.
func (f *filler) pack(packed *anypb.Any, depth int) {
	switch choice := f.below(len(details) + 3); choice {
	case len(details):
	case len(details) + 1:
		packed.TypeUrl = "type.googleapis.com/none"
	case len(details) + 2:
		packed.Value = []byte{1}
	default:
		message := details[choice].ProtoReflect().New()
		f.fill(message, depth+1)
		_ = packed.MarshalFrom(message.Interface()) // fails for what is no UTF-8
	}
}

var texts = []string{
	"", "", "plain", "Größe 1 €", `"`, `\`, `a"b\c`, "\x00\x1f\b\f\n\r\t\x7f", "\u2028<&>\ufffd", "😀", `":""`,
	`,"pdf":""`, `"totalBalance":{`, "\xff", "ok\xc3", strings.Repeat("ä", 100), "snake_case", "camelCase.b",
}

// text gives a text. As a key of a map it has no quote: the reference would not find its name.
func (f *filler) text(key bool) string {
	text := texts[f.below(len(texts))]
	if key {
		return strings.ReplaceAll(text, `"`, "'")
	}
	return text
}

// value gives a value of a field; a message is filled.
func (f *filler) value(fd protoreflect.FieldDescriptor, v protoreflect.Value, depth int) protoreflect.Value {
	parent := fd.ContainingMessage()
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(f.below(2) == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(f.below(12) - 1))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if fd.FullName() == "google.protobuf.Timestamp.nanos" && f.below(8) > 0 {
			return protoreflect.ValueOfInt32([]int32{0, 1, 120, 1e3, 456e3, 7e6, 120e6, 999999999, 1e9}[f.below(9)])
		}
		return protoreflect.ValueOfInt32(int32(f.bits()))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(f.bits()))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if parent.FullName() == "google.protobuf.Timestamp" && f.below(8) > 0 {
			seconds := []int64{0, minSeconds, maxSeconds, 1795000000, int64(uint32(f.bits()))}
			return protoreflect.ValueOfInt64(seconds[f.below(len(seconds))])
		}
		return protoreflect.ValueOfInt64(int64(f.bits()))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(f.bits())
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(f.number()))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(f.number())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text(parent.IsMapEntry() && fd.Number() == 1))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(f.text(false)))
	default:
		f.fill(v.Message(), depth+1)
		return v
	}
}

// TestNumbers compares where the form of a number changes.
func TestNumbers(t *testing.T) {
	for _, n := range numbers {
		for _, c := range []struct {
			bits    int
			value   float64
			message proto.Message
		}{
			{64, n, wrapperspb.Double(n)}, {32, float64(float32(n)), wrapperspb.Float(float32(n))},
		} {
			want, err := protojson.Marshal(c.message)
			if got := float(nil, c.value, c.bits); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%g of %d bits became %s, not %s, %v", n, c.bits, got, want, err)
			}
		}
	}
}

// TestNothingChosen: a oneof may hold a pointer that is nil, and nothing is chosen then.
func TestNothingChosen(t *testing.T) {
	compare(t, &expr.Value{Kind: (*expr.Value_BoolValue)(nil)})
	compare(t, &expr.Value{Kind: &expr.Value_MapValue{}})
}

// TestKeys: the keys of maps that no type has which is compared stand in order, too.
func TestKeys(t *testing.T) {
	for i, keys := range [][]any{{uint32(9), uint32(10)}, {false, true}, {"10", "9"}} {
		first, second := reflect.ValueOf(keys[0]), reflect.ValueOf(keys[1])
		if compareKeys(first, second) != -1 || compareKeys(second, first) != 1 || keyText(second) == keyText(first) {
			t.Errorf("%d: %v is not before %v", i, first, second)
		}
	}
}

// TestRefused: what is no message, or has what shapes do not know, is refused.
func TestRefused(t *testing.T) {
	for _, kind := range []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[*strings.Builder](), reflect.TypeFor[*descriptorpb.FieldOptions](),
	} {
		if s, err := shapeOf(kind); err == nil {
			t.Errorf("%s has the shape %v", kind, s)
		}
	}
	if got, err := Append(nil, nil, Full); err != nil || string(got) != "{}" {
		t.Errorf("nothing became %s, %v", got, err)
	}
}

var numbers = []float64{
	0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.99e-7, 1e-7, 1e-10, 1e20, 1e21, -1e22, 1e300, 5e-324, 0.1, 16777217,
	math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat32, math.Pi, 123456789.125, float64(float32(1e-6)),
}

func (f *filler) number() float64 {
	if f.below(4) == 0 {
		return math.Float64frombits(f.bits())
	}
	return numbers[f.below(len(numbers))]
}
